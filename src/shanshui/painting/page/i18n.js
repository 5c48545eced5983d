// The page's texts in two languages. Elements name their text: data-t (content), data-label (name and tooltip),
// data-hint (placeholder).

import { all } from "./dom.js";
import texts from "./texts.js";

/** @typedef {"en" | "zh"} Language */

/** @returns {Language} what the address, an earlier visit or the browser asks for */
export function preferred() {
	const asked = new URLSearchParams(location.search).get("lang") || remembered() || navigator.language;
	return asked.toLowerCase().startsWith("zh") ? "zh" : "en";
}

function remembered() {
	try { return localStorage.getItem("language"); } catch { return null; }
}

/** @type {Language} */
let language = "en";
export const current = () => language;

/** Texts set by a program, to be set again in another language. @type {Map<HTMLElement, () => string>} */
const written = new Map();

/** @param {string} key @param {Record<string, string | number>} [values] for {name} in the text */
export function t(key, values = {}) {
	if (!has(key)) throw new Error(`no text ${key}`);
	return texts[key][language === "en" ? 0 : 1].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** @param {string} key */
export const has = (key) => key in texts;

/** @param {number} value @param {number} [digits] after the point */
export const number = (value, digits = 0) =>
	new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);

/** @param {number} share 0 to 1 */
export const percent = (share) =>
	new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: share < 0.1 ? 1 : 0 }).format(share);

/** Keep the text of an element in the language of the page. @param {HTMLElement} element @param {string | (() => string)} text or its key */
export function write(element, text) {
	const current = typeof text === "string" ? () => t(text) : text;
	written.set(element, current);
	element.textContent = current();
	return element;
}

/** @param {Language} to */
export function speak(to) {
	language = to;
	document.documentElement.lang = to === "zh" ? "zh-CN" : "en";
	try { localStorage.setItem("language", to); } catch { /* private windows may refuse */ }
	for (const element of all("[data-t],[data-label],[data-hint]")) {
		const { t: text, label, hint } = element.dataset;
		if (text) element.textContent = t(text);
		if (label) element.ariaLabel = element.title = t(label);
		if (hint) element.setAttribute("placeholder", t(hint));
	}
	for (const [element, text] of written) {
		if (element.isConnected) element.textContent = text();
		else written.delete(element);
	}
	document.title = t("title");
	document.dispatchEvent(new Event("language"));
}
