// Styles of photographs, for weights that take one: none, one, or a blend of two.

import * as api from "./api.js";
import { $, all, chooses, element, input } from "./dom.js";
import * as i18n from "./i18n.js";
import { attempt } from "./image.js";

/** @param {() => void} changed called when styles in use or their shares change */
export function styles(changed) {
	/** Styles in use, the last chosen last. @type {string[]} */ let chosen = [];
	let added = 0;
	const blend = input("blend"), none = $("no-style");
	const cards = () => all("#styles .picture");
	const of = (photograph) => cards().find((each) => each.dataset.photograph === photograph);

	const show = () => {
		for (const card of cards()) card.ariaPressed = String(chosen.includes(card.dataset.style || ""));
		none.ariaPressed = String(!chosen.length);
		$("blend-slider").hidden = chosen.length < 2;
		i18n.write($("blend-value"), () => i18n.percent(blend.valueAsNumber / 100));
	};
	const use = (to) => {
		chosen = to.slice(-2);
		show();
		changed();
	};
	const others = (style) => chosen.filter((other) => other !== style);
	const toggle = (style) => use(chosen.includes(style) ? others(style) : [...chosen, style]);

	/** Add one. @param {string} picture address, if there is one @param {string | (() => string)} text @param {() => void} click */
	const card = (picture, text, click) => {
		const image = element(picture ? "img" : "canvas", picture ? { src: picture, alt: "" } : {});
		const made = element("button", { className: "card picture", onclick: click }, image, i18n.write(element("span"), text));
		$("styles").append(made);
		return made;
	};
	/** Give a style the card of its photograph, a new one if there is none. */
	const place = (style, photograph, thumbnail) => {
		let made = of(photograph);
		if (!made) {
			const n = ++added;
			made = card(thumbnail, () => i18n.t("style_n", { n }), () => toggle(made.dataset.style));
		}
		Object.assign(made.dataset, { style, photograph });
	};

	chooses("add-style", "style-file", (photograph) => attempt(async () => {
		const { style, thumbnail } = await api.addStyle(photograph);
		place(style, style, thumbnail);
		use([...others(style), style]);
	}));
	none.onclick = () => use([]);
	blend.oninput = () => { show(); changed(); };
	show();
	return {
		/** What requests say. */
		get: () => ({ style: chosen[0] || "", style2: chosen[1] || "", blend: chosen.length > 1 ? blend.valueAsNumber / 100 : "" }),
		/** Use the styles of a saved archive. @param {api.Settings} saved */
		take(saved) {
			saved.styles.forEach((style, n) => place(style, saved.photographs[n], ""));
			blend.valueAsNumber = 100 * saved.blend;
			use(saved.styles);
		},
		/** Show ready-made ones. */
		offer: () => attempt(async () => {
			for (const { number, name, style } of await api.styles()) {
				const photograph = await api.photograph(number);
				const made = card(URL.createObjectURL(photograph), `light_${name}`, () => attempt(async () => {
					if (!chosen.includes(made.dataset.style)) made.dataset.style = (await api.addStyle(photograph)).style;
					toggle(made.dataset.style);
				}));
				const old = of(style);
				Object.assign(made.dataset, { photograph: style }, old?.dataset);
				old?.replaceWith(made);
			}
			show();
		}),
	};
}
