// The palette: classes in groups, searched by English and Chinese names, as a group of radio buttons.

import { $, all, element, input } from "./dom.js";
import * as i18n from "./i18n.js";
/** @import { Class } from "./api.js" */
/** @import { Drawing } from "./drawing.js" */

const GROUPS = ["sky", "land", "plants", "water", "built", "things", "other"];
const STEPS = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };

const groupOf = (c) => (GROUPS.includes(c.group) ? c.group : "other");

const swatch = (c) => {
	const made = element("i", { className: "swatch" });
	made.style.backgroundColor = c.colour;
	return made;
};

export class Palette {
	/** @param {Class[]} classes @param {Drawing} drawing @param {(id: number) => void} mark takes a class to show, or -1 */
	constructor(classes, drawing, mark) {
		this.classes = classes;
		this.drawing = drawing;
		this.mark = mark;
		/** @type {HTMLElement[]} */ this.chips = [];
		this.#build();
		$("classes").addEventListener("keydown", (event) => this.#key(event));
		input("search").oninput = () => this.#filter();
		input("search").onkeydown = (event) => this.#searchKey(event);
		$("protect").onclick = () => drawing.lock(drawing.current);
		$("unprotect").onclick = () => drawing.unlockAll();
		drawing.addEventListener("settings", () => this.#update());
		document.addEventListener("language", () => this.#update());
		this.#update();
	}

	name(id) {
		const found = this.classes[id];
		return found ? (i18n.current() === "zh" && found.zh) || found.name : i18n.t("no_class");
	}

	/** Names and shares of the most frequent classes. */
	describe(shares, total) {
		return shares.slice(0, 8)
			.map(([id, count]) => i18n.t("share", { name: this.name(id), percent: i18n.percent(count / total) }))
			.join(i18n.t("list_separator"));
	}

	#build() {
		const used = GROUPS.filter((group) => this.classes.some((c) => groupOf(c) === group));
		for (const group of used) {
			const part = element("div", { className: "classes-group" });
			if (used.length > 1) part.append(i18n.write(element("h3"), `group_${group}`));
			for (const c of this.classes) if (groupOf(c) === group) part.append(this.#chip(c));
			$("classes").append(part);
		}
	}

	#chip(c) {
		const lock = $("protect").querySelector("svg").cloneNode(true);
		const chip = element("div", { className: "chip", role: "radio", data: { id: c.id } }, swatch(c), element("span"), lock);
		chip.onclick = () => this.#choose(c.id);
		chip.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && this.mark(c.id));
		chip.addEventListener("pointerleave", () => this.mark(-1));
		return this.chips[c.id] = chip;
	}

	#choose(id) {
		this.mark(-1);
		if (["eraser", "pick"].includes(this.drawing.tool)) this.drawing.set({ tool: "brush" });
		this.drawing.choose(id);
	}

	#update() {
		const { current, locked, recent } = this.drawing;
		for (const c of this.classes) {
			const chip = this.chips[c.id], name = this.name(c.id);
			chip.ariaChecked = String(c.id === current);
			chip.tabIndex = c.id === current ? 0 : -1;
			chip.ariaLabel = locked[c.id] ? i18n.t("protected_class", { name }) : name;
			chip.title = c.zh && c.zh !== c.name ? `${c.name} · ${c.zh}` : c.name;
			chip.classList.toggle("locked", Boolean(locked[c.id]));
			chip.children[1].textContent = name;
		}
		if (!this.chips[current]) this.chips[0].tabIndex = 0;
		$("protect").ariaPressed = String(Boolean(locked[current]));
		$("unprotect").hidden = !locked.includes(1);
		$("recent").replaceChildren(...recent.map((id, place) => {
			const name = `${place + 1} ${this.name(id)}`;
			return element("button", {
				className: "recent", ariaLabel: name, title: name, ariaPressed: String(id === current), onclick: () => this.#choose(id),
			}, swatch(this.classes[id]));
		}));
	}

	#filter() {
		const wanted = input("search").value.trim().toLowerCase();
		for (const c of this.classes) this.chips[c.id].hidden = !`${c.name}\n${c.zh}`.toLowerCase().includes(wanted);
		for (const part of all(".classes-group")) part.hidden = !part.querySelector(".chip:not([hidden])");
		$("none-found").hidden = this.chips.some((chip) => !chip.hidden);
	}

	#searchKey(event) {
		const first = all(".chip:not([hidden])")[0];
		if (event.key === "Enter" && first) this.#choose(Number(first.dataset.id));
		else if (event.key !== "Escape") return;
		input("search").value = "";
		event.preventDefault();
		this.#filter();
		this.chips[this.drawing.current]?.focus();
	}

	#key(event) {
		const shown = all(".chip:not([hidden])"), at = shown.indexOf(/** @type {HTMLElement} */ (document.activeElement));
		const step = STEPS[event.key];
		const to = event.key === "Home" ? 0 : event.key === "End" ? shown.length - 1
			: step ? (at + step + shown.length) % shown.length : event.key === " " || event.key === "Enter" ? at : -1;
		if (!shown[to]) return;
		event.preventDefault();
		event.stopPropagation();
		this.#choose(Number(shown[to].dataset.id));
		shown[to].focus();
	}
}
