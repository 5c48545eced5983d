// Starts: a horizon, and random compositions of sky, mountains, water and trees.

import * as raster from "./raster.js";
/** @import { LabelMap } from "./raster.js" */
/** @import { Class } from "./api.js" */

/** A small random number generator (mulberry32), uniform in [0, 1). @param {number} seed @returns {() => number} */
export function randomNumbers(seed) {
	let state = seed >>> 0;
	return () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let t = Math.imul(state ^ (state >>> 15), state | 1);
		t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
		return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
	};
}

/** @param {Class[]} classes @param {string[]} names @returns {number} id of the first of these names, or -1 */
export const idOf = (classes, names) => names.map((name) => classes.findIndex((c) => c.name.toLowerCase() === name))
	.find((id) => id >= 0) ?? -1;

const SKY = ["sky", "sky-other", "clouds"];
const LAND = ["land", "grass", "field", "earth", "ground", "terrain", "ground-other", "road", "pavement"];

/** Sky over land, or two classes of the list. @param {Class[]} classes @param {number} width @param {number} height @returns {LabelMap} */
export function horizon(classes, width, height) {
	const sky = Math.max(0, idOf(classes, SKY)), land = idOf(classes, LAND);
	const ids = new Uint8Array(width * height).fill(sky);
	ids.fill(land >= 0 ? land : Math.min(classes.length - 1, sky + 1), width * Math.floor(height * 0.58));
	return { ids, width, height };
}

/** A curve of a few waves over the width. */
function ridge(random, width, rough) {
	const waves = Array.from({ length: 6 }, (_, i) => {
		const frequency = (0.7 + random()) * 1.9 ** i;
		return { frequency, phase: random() * 2 * Math.PI, height: rough ** i };
	});
	const total = waves.reduce((sum, wave) => sum + wave.height, 0);
	return (x) => waves.reduce((sum, w) => sum + w.height * Math.sin((2 * Math.PI * w.frequency * x) / width + w.phase), 0) / total;
}

/**
 * A random landscape.
 * @param {Class[]} classes @param {number} width @param {number} height @param {number} seed @returns {LabelMap}
 */
export function composition(classes, width, height, seed) {
	const random = randomNumbers(seed);
	const map = horizon(classes, width, height), { ids } = map;
	const free = new Uint8Array(256);
	const have = (...names) => idOf(classes, names);
	const one = (...choices) => have(...choices[Math.floor(random() * choices.length)]);
	const below = (id, top, bottom = height) => {
		if (id < 0) return;
		for (let x = 0; x < width; x++) {
			for (let y = Math.max(0, Math.floor(top(x))); y < bottom; y++) ids[y * width + x] = id;
		}
	};
	const level = height * (0.45 + 0.2 * random()); // the horizon
	ids.fill(Math.max(0, idOf(classes, SKY)));
	const far = ridge(random, width, 0.62), lift = height * (0.12 + 0.2 * random());
	below(one(["mountain"], ["mountain"], ["hill", "mountain"]), (x) => level - lift * (0.75 + far(x)));
	if (random() < 0.7) {
		const near = ridge(random, width, 0.45);
		below(one(["hill", "mountain"], ["tree"], ["hill", "tree"]), (x) => level - height * 0.08 * (0.6 + near(x)));
	}
	const wet = random() < 0.75, water = one(["water", "sea"], ["lake", "water"], ["sea", "water"]);
	below(wet && water >= 0 ? water : Math.max(0, have(...LAND)), () => level);
	const shore = ridge(random, width, 0.5), slope = (random() - 0.5) * 0.5;
	const front = height * (0.76 + 0.12 * random());
	const ground = one(["grass", "land"], ["sand", "land"], ["grass", "field"], ["land", "grass"]);
	below(ground, (x) => front + height * (0.07 * shore(x) + slope * (x / width - 0.5)));
	const put = (id, x, y, rx, ry) => {
		if (id >= 0) raster.ellipse(map, x - rx, y - ry, x + rx, y + ry, raster.constant(id), free);
	};
	const trees = Math.floor(random() * 7), side = random() < 0.5 ? 0.12 : 0.88;
	for (let n = 0; n < trees; n++) {
		const size = height * (0.07 + 0.09 * random());
		put(have("tree", "plant"), width * (side + 0.3 * (random() - 0.5)), front - size * 0.3 + height * 0.05 * random(), size * 0.7, size);
	}
	for (let n = Math.floor(random() * 4); n > 0; n--) {
		const size = height * (0.025 + 0.04 * random());
		put(have("rock", "stone"), width * random(), front + height * 0.06 * random(), size * 1.7, size);
	}
	return map;
}
