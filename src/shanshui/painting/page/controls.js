// Tools, sizes, history, zoom and the line under the drawing.

import { $, all, element, input } from "./dom.js";
import * as i18n from "./i18n.js";
import { shares } from "./raster.js";
/** @import { Drawing } from "./drawing.js" */
/** @import { View } from "./view.js" */
/** @import { Palette } from "./palette.js" */

const TOOLS = ["brush", "eraser", "line", "rectangle", "ellipse", "fill", "replace", "pick"];

/** Make the buttons of the tools. */
export const tools = () =>
	$("tools").append(...TOOLS.map((tool) => element("button", { className: "tool", data: { tool, label: `tool_${tool}`, icon: tool } })));

/** Say a text, or that of a key, to screen readers and in the state line. @param {string | (() => string)} text */
export const say = (text) => [$("state"), $("empty")].forEach((place) => i18n.write(place, text));

/** @param {Drawing} drawing @param {View} view @param {Palette} palette */
export function controls(drawing, view, palette) {
	const buttons = all("[data-tool]");
	for (const button of buttons) button.onclick = () => drawing.set({ tool: button.dataset.tool });
	const size = input("size"), gap = input("gap");
	size.oninput = () => drawing.set({ size: size.valueAsNumber });
	gap.oninput = () => drawing.set({ gap: gap.valueAsNumber });
	$("undo").onclick = () => drawing.undo();
	$("redo").onclick = () => drawing.redo();
	$("zoom-in").onclick = () => view.zoomBy(1.5);
	$("zoom-out").onclick = () => view.zoomBy(1 / 1.5);
	$("zoom-fit").onclick = () => view.fit();
	$("describe").onclick = () => {
		const counts = shares(drawing.ids), total = drawing.ids.length;
		const text = () => i18n.t("contains", { list: palette.describe(counts, total) });
		i18n.write($("under-cursor"), text);
		say(text);
	};

	const settings = () => {
		for (const button of buttons) button.ariaPressed = String(button.dataset.tool === drawing.tool);
		[size.valueAsNumber, gap.valueAsNumber] = [drawing.size, drawing.gap];
		i18n.write($("size-value"), () => i18n.t("pixels", { n: i18n.number(drawing.size) }));
		i18n.write($("gap-value"), () => i18n.t("pixels", { n: i18n.number(drawing.gap) }));
		$("gap-slider").hidden = drawing.tool !== "fill";
		$("size-slider").hidden = !["brush", "eraser", "line"].includes(drawing.tool);
	};
	const history = () => {
		$("undo").disabled = !drawing.history.past.length;
		$("redo").disabled = !drawing.history.future.length;
	};
	drawing.addEventListener("settings", settings);
	drawing.addEventListener("change", (event) => {
		$("hint").hidden = true;
		if (/** @type {CustomEvent} */ (event).detail.ended) history();
	});
	settings();
	history();

	const zoomed = () => i18n.write($("zoom-value"), () => i18n.percent(view.zoom));
	view.below.addEventListener("zoomed", zoomed);
	zoomed();

	const under = (event) => writeClass(drawing, palette, view.point(event));
	view.below.addEventListener("pointermove", under);
	view.below.addEventListener("pointerdown", under);
}

/** Write the class at a point by name: colours alone are hard to tell apart. @returns {() => string} */
export function writeClass(drawing, palette, { x, y }) {
	const id = drawing.at(x, y);
	const text = () => i18n.t("under_cursor", { name: palette.name(id), x: Math.floor(x), y: Math.floor(y) });
	if (id >= 0) i18n.write($("under-cursor"), text);
	return text;
}

/** Which of drawing and image a narrow screen shows. */
export function panes() {
	const buttons = all("[data-show]"), [main] = all("main");
	for (const button of buttons) {
		button.onclick = () => {
			main.dataset.shown = button.dataset.show;
			for (const other of buttons) other.ariaPressed = String(other === button);
		};
	}
}

/**
 * Ask in a dialog. @param {string} question key of its text @param {string} yes @returns {Promise<boolean>}
 */
export function ask(question, yes) {
	const dialog = $("ask");
	i18n.write($("ask-text"), question);
	i18n.write($("ask-yes"), yes);
	dialog.returnValue = "";
	dialog.showModal();
	return new Promise((resolve) =>
		dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

/**
 * Show a question above the page that needs no answer.
 * @param {() => string} question @param {string} yes key of its text @param {string} no @returns {Promise<boolean | null>}
 */
export function offer(question, yes, no) {
	i18n.write($("notice-text"), question);
	i18n.write($("notice-yes"), yes);
	i18n.write($("notice-no"), no);
	$("notice").hidden = false;
	return new Promise((resolve) => {
		const answer = (/** @type {boolean | null} */ value) => () => {
			$("notice").hidden = true;
			resolve(value);
		};
		$("notice-yes").onclick = answer(true);
		$("notice-no").onclick = answer(false);
		closeOffer = answer(null);
	});
}

/** Take the question away. @type {() => void} */
export let closeOffer = () => {};
