// The generated image, its state in words, and the seeds.

import * as api from "./api.js";
import { say } from "./controls.js";
import { $, element, input } from "./dom.js";
import * as i18n from "./i18n.js";
/** @import { Live } from "./live.js" */

const BAR_AFTER = 400; // ms
const LAST_SEED = Number.MAX_SAFE_INTEGER;

/** Show another image without a flash of nothing. */
async function swap(image, url) {
	const next = new Image();
	next.src = url;
	await next.decode().catch(() => {});
	const old = image.src;
	image.src = url;
	image.hidden = false;
	await image.decode().catch(() => {});
	if (old.startsWith("blob:")) URL.revokeObjectURL(old);
}

/**
 * @param {Live} live @param {{warmup: number, takesSeed: boolean}} model
 * @param {() => string} contents description of the drawing
 * @param {() => Promise<void>} restart starts a generator that has failed
 */
export function imagePane(live, model, contents, restart) {
	const image = $("image"), progress = $("progress");
	let expected = model.warmup || 1, ticking = 0;

	const tick = () => {
		const passed = performance.now() - live.sent;
		progress.hidden = !live.flying || passed < BAR_AFTER;
		progress.value = 1 - Math.exp((-2 * passed) / 1000 / expected);
		if (live.flying) ticking = setTimeout(tick, 100);
	};
	live.addEventListener("start", () => {
		say("state_painting");
		$("failure").hidden = true;
		clearTimeout(ticking);
		tick();
	});
	live.addEventListener("stale", () => { $("newer").hidden = image.hidden; });
	live.addEventListener("image", async (event) => {
		/** @type {api.Made & {seed: number}} */ const made = /** @type {CustomEvent} */ (event).detail;
		if (!made.cached) expected = live.seconds;
		await swap(image, made.url);
		image.dataset.number = String(made.number);
		$("empty").hidden = true;
		$("newer").hidden = !live.stale;
		const seconds = () => i18n.number(made.seconds || live.seconds, 2);
		i18n.write($("made"), () => i18n.t(model.takesSeed ? "made" : "made_no_seed",
			{ number: i18n.number(made.number), seconds: seconds(), seed: String(made.seed) }));
		image.alt = i18n.t("image_alt", { list: contents() });
		say(() => i18n.t("image_ready", { number: i18n.number(made.number), seconds: seconds() }));
	});
	live.addEventListener("failed", (event) => failed(/** @type {CustomEvent} */ (event).detail));
	document.addEventListener("language", () => {
		if (!image.hidden) image.alt = i18n.t("image_alt", { list: contents() });
	});
	$("again").addEventListener("click", async () => {
		$("failure").hidden = true;
		if (document.body.dataset.state === "failed") await restart();
		live.request();
	});
	$("now").onclick = () => live.request();
}

/** Do something that the program may refuse, and say so. @param {() => unknown} action */
export async function attempt(action) {
	try {
		await action();
	} catch (error) {
		failed(error);
	}
}

/** Say why something failed, over the image. @param {unknown} error */
export function failed(error) {
	if (!(error instanceof api.Refused)) throw error;
	const key = i18n.has(`error_${error.code}`) ? `error_${error.code}` : "error_failed";
	const { found, wanted, advice, colours = [] } = /** @type {any} */ (error.detail);
	const nearest = colours.map((each) => `${each.colour} ≈ ${each.nearest}`).join(", ");
	say(key);
	i18n.write($("failure-text"), key);
	i18n.write($("failure-detail"), () => [found, nearest, wanted, advice].filter(Boolean).join(" · "));
	$("failure").hidden = false;
}

/**
 * The program's own states, in words.
 * @param {string} client @param {() => Live | undefined} live
 */
export function programStates(client, live) {
	let lost = false;
	const words = ({ state, step, steps, place }) => {
		const [done, total, at] = [step, steps, place].map((n) => i18n.number(n ?? 0));
		const plain = (state === "compiling" && !steps) || (state === "waiting" && !place);
		return i18n.t(`state_${state}${plain ? "_plain" : ""}`, { done, total, place: at });
	};
	api.events(client, (state) => {
		const before = document.body.dataset.state, flying = live()?.flying;
		document.body.dataset.state = state.state;
		const own = state.state === "painting" ? flying : state.state === "ready" ? lost || before === "restarting" : true;
		if (own) say(() => words(state));
		if (state.state === "failed" && state.error) failed(new api.Refused(state.error.error, state.error));
		if (state.state === "ready" && !flying && (lost || before === "restarting")) live()?.changed();
		lost = false;
	}, () => {
		lost = true;
		document.body.dataset.state = "unreachable";
		say("state_unreachable");
	});
}

/**
 * The seed, new ones, and four images next to each other.
 * @param {Live} live @param {import("./drawing.js").Drawing} drawing
 * @param {() => api.Look} look @returns {{dice: () => void, set: (seed: number) => void, get: () => number}}
 */
export function seeds(live, drawing, look) {
	const field = input("seed"), row = $("four");
	const get = () => Math.min(LAST_SEED, Math.max(0, Math.floor(Number(field.value) || 0)));
	const set = (seed) => {
		field.value = String(seed);
		mark();
		live.changed();
	};
	const mark = () => {
		for (const card of row.children) card.ariaPressed = String(Number(card.dataset.seed) === get());
	};
	const dice = () => set(Math.floor(Math.random() * 10000));
	field.onchange = () => set(get());
	$("dice").onclick = dice;

	let round = 0, asked = 0;
	$("compare").onclick = async () => {
		const mine = ++round, first = get(), map = { ...drawing.map, ids: drawing.ids.slice() };
		const cards = [0, 1, 2, 3].map((n) => card(first + n <= LAST_SEED ? first + n : n, set));
		for (const old of row.querySelectorAll("img")) URL.revokeObjectURL(old.src);
		row.replaceChildren(...cards);
		row.classList.remove("old");
		mark();
		for (const each of cards) {
			try {
				const made = await api.generate(map, { ...look(), seed: Number(each.dataset.seed) }, `${live.client}-four`, ++asked);
				if (mine !== round) return;
				if (made) each.querySelector("img")?.setAttribute("src", made.url);
			} catch (error) {
				return failed(error);
			}
		}
	};
	drawing.addEventListener("change", () => row.classList.add("old"));
	return { dice, set, get };
}

function card(seed, use) {
	const name = element("span", { className: "hidden" });
	i18n.write(name, () => i18n.t("use_seed", { seed: String(seed) }));
	const properties = { className: "card picture", data: { seed }, onclick: () => use(seed) };
	return element("button", properties, element("img", { alt: "" }), element("span", { ariaHidden: "true" }, String(seed)), name);
}
