// Styles of photographs, for weights that take one: none, one, or a blend of two.

import * as api from "./api.js";
import { $, all, element, input } from "./dom.js";
import * as i18n from "./i18n.js";
import { failed } from "./image.js";

/** @param {() => void} changed @returns {{get: () => {style: string, style2: string, blend: number | ""}, add: (file: Blob) => Promise<void>}} */
export function styles(changed) {
	/** Styles in use, the last chosen last. @type {string[]} */ let chosen = [];
	const cards = () => all("#styles [data-style]");
	const file = input("style-file"), blend = input("blend");

	const show = () => {
		for (const card of cards()) card.setAttribute("aria-pressed", String(chosen.includes(card.dataset.style || "")));
		$("no-style").setAttribute("aria-pressed", String(!chosen.length));
		$("blend-slider").hidden = chosen.length < 2;
		i18n.write($("blend-value"), () => i18n.percent(blend.valueAsNumber / 100));
	};
	const use = (to) => {
		chosen = to.slice(-2);
		show();
		changed();
	};
	const toggle = (style) => use(chosen.includes(style) ? chosen.filter((other) => other !== style) : [...chosen, style]);

	const add = async (photograph) => {
		try {
			const { style, thumbnail } = await api.addStyle(photograph);
			if (!cards().some((card) => card.dataset.style === style)) {
				const n = cards().length + 1, text = i18n.write(element("span"), () => i18n.t("style_n", { n }));
				const properties = { className: "card picture", data: { style }, onclick: () => toggle(style) };
				$("add-style").before(element("button", properties, element("img", { src: thumbnail, alt: "" }), text));
			}
			use([...chosen.filter((other) => other !== style), style]);
		} catch (error) {
			failed(error);
		}
	};
	$("no-style").addEventListener("click", () => use([]));
	$("add-style").addEventListener("click", () => file.click());
	file.addEventListener("change", () => {
		if (file.files?.[0]) add(file.files[0]);
		file.value = "";
	});
	blend.addEventListener("input", () => { show(); changed(); });
	show();
	return {
		get: () => ({ style: chosen[0] || "", style2: chosen[1] || "", blend: chosen.length > 1 ? blend.valueAsNumber / 100 : "" }),
		add,
	};
}
