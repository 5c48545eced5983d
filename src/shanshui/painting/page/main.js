// The page: asks the program for its model and puts the parts together.

import * as api from "./api.js";
import * as autosave from "./autosave.js";
import { horizon, idOf } from "./compose.js";
import { closeOffer, controls, offer, panes, say, tools } from "./controls.js";
import { $, all, element, input } from "./dom.js";
import { Drawing } from "./drawing.js";
import * as i18n from "./i18n.js";
import { attempt, failed, imagePane, programStates, seeds } from "./image.js";
import { LIST, keyboardDrawing, shortcuts } from "./keyboard.js";
import { Live } from "./live.js";
import { Palette } from "./palette.js";
import { Pointers } from "./pointer.js";
import { resized, shares } from "./raster.js";
import { examples, files, save, starts } from "./starts.js";
import { styles } from "./styles.js";
import { View, colourTable } from "./view.js";

const SAVE_AFTER = 2000; // ms
const FREQUENT = ["sky", "mountain", "hill", "tree", "grass", "water", "sand", "rock", "waterfall"];

/** What tests look at. @type {{drawing?: Drawing, view?: View, live?: Live, model?: api.Model}} */
export const page = {};

async function loadedModel() {
	for (;;) {
		try {
			return await api.model();
		} catch (error) {
			if (!(error instanceof api.Refused)) throw error;
			if (error.code !== "not_ready") failed(error);
			if (error.code === "worker_failed") {
				await new Promise((resolve) => $("again").addEventListener("click", resolve, { once: true }));
				$("failure").hidden = true;
				await api.chooseWeights(0).catch(failed);
			} else if (!["not_ready", "busy", "too_many", "unreachable"].includes(error.code)) throw error;
			await new Promise((resolve) => setTimeout(resolve, 1000));
		}
	}
}

/** Sizes to choose from. */
function sizes(drawing, model) {
	const menu = $("sizes"), list = model.sizes;
	menu.replaceChildren(...list.map(([w, h]) => new Option(`${w} × ${h}`, `${w}x${h}`)));
	$("size-choice").hidden = list.length < 2;
	const show = () => {
		const { width: w, height: h } = drawing;
		menu.value = `${w}x${h}`;
		if (!menu.value) menu.add(new Option(`${w} × ${h}`, `${w}x${h}`, true, true));
	};
	menu.onchange = () => {
		const [width, height] = menu.value.split("x").map(Number);
		drawing.take(resized(drawing.map, width, height));
	};
	drawing.addEventListener("change", show);
	show();
}

/** Several weights to choose from. */
function weightsMenu(model, kept) {
	const menu = $("weights");
	menu.replaceChildren(...model.weights.map(({ number, name }) => new Option(name, String(number))));
	menu.value = String(model.loaded);
	$("weights-choice").hidden = model.weights.length < 2;
	menu.onchange = () => attempt(async () => {
		await kept();
		await api.chooseWeights(Number(menu.value));
		await loadedModel();
		sessionStorage.setItem("continue", "yes");
		location.reload();
	});
}

function help(model, look) {
	const dialog = $("help-dialog"), letters = input("letters");
	$("keys").replaceChildren(...LIST.map(([keys, text]) => {
		const names = keys.split(" ").map((key) => element(key === "…" ? "span" : "kbd", {}, key));
		return element("tr", {}, element("th", { scope: "row" }, ...names), i18n.write(element("td"), text));
	}));
	try {
		letters.checked = localStorage.getItem("letters") !== "no";
		letters.onchange = () => localStorage.setItem("letters", letters.checked ? "yes" : "no");
	} catch { /* private windows may refuse: then the choice lasts until the page is closed */ }
	const open = () => {
		$("command").textContent =
			`python -m shanshui generate --weights ${model.weights[model.loaded]?.name || model.name}.safetensors --labels paint/ --out images/ --seed ${look().seed}`;
		i18n.write($("about"), () =>
			i18n.t("about", { name: model.name, generator: model.generator, version: model.version }));
		dialog.showModal();
	};
	$("help").onclick = open;
	return open;
}

/** Keep the drawing in this browser. */
function keep(drawing, classes, seed) {
	let timer = 0;
	const now = () => autosave.save({ map: drawing.map, seed: seed(), time: Date.now(), classes: classes.map((c) => c.name) });
	drawing.addEventListener("change", () => {
		clearTimeout(timer);
		timer = setTimeout(now, SAVE_AFTER);
	});
	return { now, forget: () => { clearTimeout(timer); autosave.forget(); } };
}

/** Offer the drawing of an earlier visit. */
async function offerLast(drawing, classes, found, setSeed) {
	const again = sessionStorage.getItem("continue");
	sessionStorage.removeItem("continue");
	if (!found || found.classes.join("\n") !== classes.map((c) => c.name).join("\n")) return;
	const time = () => new Intl.DateTimeFormat(i18n.current(), { dateStyle: "medium", timeStyle: "short" }).format(found.time);
	const question = offer(() => i18n.t("continue_question", { time: time() }), "continue_yes", "continue_no");
	if (again) closeOffer();
	else drawing.addEventListener("change", () => closeOffer(), { once: true });
	const answer = await question;
	if (answer === false) autosave.forget();
	if (!answer && !again) return;
	const { width, height } = drawing, { map } = found;
	drawing.take(map.width === width && map.height === height ? map : resized(map, width, height));
	setSeed(found.seed);
}

/** Put the icons of the page into its buttons. */
function icons() {
	for (const button of all("[data-icon]")) {
		button.insertAdjacentHTML("afterbegin", `<svg viewBox="0 0 24 24" aria-hidden="true"><use href="#i-${button.dataset.icon}"/></svg>`);
	}
}

async function start() {
	tools();
	icons();
	i18n.speak(i18n.preferred());
	$("language").onclick = () => i18n.speak(i18n.current() === "en" ? "zh" : "en");
	say("state_connecting");
	panes();
	const client = crypto.randomUUID?.().slice(0, 8) ?? Math.random().toString(36).slice(2, 10);
	programStates(client, () => page.live);
	const model = page.model = await loadedModel();
	/** @type {api.Class[]} */ const classes = model.classes;
	const [width, height] = model.size;
	const list = await api.examples().catch(() => []);
	const first = list.length ? await api.example(0, { width, height }).catch(() => null) : null;
	const named = FREQUENT.map((name) => idOf(classes, [name])).filter((id) => id >= 0);
	const recent = named.length > 3 ? named : classes.slice(0, 9).map((c) => c.id);
	const drawing = page.drawing = new Drawing(first || horizon(classes, width, height), recent[1] ?? 0, recent);
	drawing.ground = horizon(classes, width, height).ids;
	drawing.set({ size: Math.max(4, width / 16) });
	const table = colourTable(classes.map((c) => c.colour));
	const view = page.view = new View($("drawing"), $("over"), drawing, table);
	const palette = new Palette(classes, drawing, (id) => view.mark(id));
	const pointers = new Pointers(view.below, drawing, view);
	controls(drawing, view, palette);

	const contents = () => palette.describe(shares(drawing.ids), drawing.ids.length);
	/** @returns {api.Look} */ const look = () => ({ seed: seed.get(), ...style.get() });
	const live = page.live = new Live(client, drawing, look, () => pointers.busy);
	live.during = model.live;
	input("live").onchange = () => {
		live.on = input("live").checked;
		if (live.on && live.stale) live.changed();
	};
	const seed = seeds(live, drawing, look), style = styles(() => live.changed());
	$("seed-group").hidden = $("seeds-shelf").hidden = !model.takes_seed;
	$("styles-shelf").hidden = !model.takes_style;
	if (model.takes_style) style.offer();
	imagePane(live, { warmup: model.warmup_seconds, takesSeed: model.takes_seed }, contents,
		async () => { await api.chooseWeights(model.loaded); await loadedModel(); });

	input("seed").value = String(model.seed);
	const kept = keep(drawing, classes, seed.get);
	starts(drawing, classes, kept.forget);
	files(drawing, (saved) => {
		seed.set(saved.seed);
		style.take(saved);
	});
	$("segment").hidden = false;
	const saveNow = () => save(drawing, look);
	$("export").onclick = saveNow;
	keyboardDrawing(drawing, view, palette, pointers);
	shortcuts(drawing, view, {
		dice: () => model.takes_seed && seed.dice(), now: () => live.request(), save: saveNow, help: help(model, look),
	});
	sizes(drawing, model);
	weightsMenu(model, kept.now);
	live.request();
	offerLast(drawing, classes, await autosave.saved(), seed.set);
	document.body.dataset.loaded = "yes";
	await examples(drawing, table, list);
}

start();
