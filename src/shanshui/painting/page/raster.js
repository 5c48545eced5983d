// Drawing on arrays of class ids. Every function changes whole pixels: there is no anti-aliasing, so no id appears
// that was not asked for.

/**
 * A rectangle of pixels: x0, y0 inclusive; x1, y1 exclusive.
 * @typedef {{x0: number, y0: number, x1: number, y1: number}} Rect
 * A label map: class ids, row by row.
 * @typedef {{ids: Uint8Array, width: number, height: number}} LabelMap
 * Returns the class id for pixel number i.
 * @typedef {(i: number) => number} Source
 * Draws between the pixels that hold two points, and returns what changed. Pixels of `locked` classes stay.
 * @typedef {(map: LabelMap, ax: number, ay: number, bx: number, by: number, source: Source, locked: Uint8Array, size?: number) =>
 *   Rect | null} Shape
 */

export const MAX_SIZE = 200;

/** @param {number} id @returns {Source} */
export const constant = (id) => () => id;

/** @param {Rect | null} a @param {Rect | null} b @returns {Rect | null} */
export function union(a, b) {
	if (!a || !b) return a || b;
	return { x0: Math.min(a.x0, b.x0), y0: Math.min(a.y0, b.y0), x1: Math.max(a.x1, b.x1), y1: Math.max(a.y1, b.y1) };
}

function clipped(map, x0, y0, x1, y1) {
	return { x0: Math.max(0, x0), y0: Math.max(0, y0), x1: Math.min(map.width, x1), y1: Math.min(map.height, y1) };
}

/** Set the pixels of a rectangle for which `inside` holds. */
function setWhere(map, box, source, locked, inside) {
	const { ids, width } = map;
	let changed = null;
	for (let y = box.y0; y < box.y1; y++) {
		for (let x = box.x0; x < box.x1; x++) {
			const i = y * width + x;
			if (locked[ids[i]] || !inside(x, y)) continue;
			const id = source(i);
			if (ids[i] === id) continue;
			ids[i] = id;
			changed ??= { x0: x, y0: y, x1: x + 1, y1: y + 1 };
			if (x < changed.x0) changed.x0 = x;
			if (x >= changed.x1) changed.x1 = x + 1;
			changed.y1 = y + 1;
		}
	}
	return changed;
}

/** A straight stroke of a round brush, `size` pixels wide. @type {Shape} */
export function stroke(map, ax, ay, bx, by, source, locked, size = 1) {
	[ax, ay, bx, by] = [ax, ay, bx, by].map(Math.floor);
	if (size < 2) return thin(map, ax, ay, bx, by, source, locked);
	const r = size / 2;
	const shift = size % 2 ? 0 : 0.5; // an even brush is centred on a corner of pixels
	const [px, py, dx, dy] = [ax - shift, ay - shift, bx - ax, by - ay];
	const length = dx * dx + dy * dy;
	const box = clipped(
		map, Math.floor(Math.min(ax, bx) - r), Math.floor(Math.min(ay, by) - r),
		Math.ceil(Math.max(ax, bx) + r) + 1, Math.ceil(Math.max(ay, by) + r) + 1,
	);
	const limit = r * r;
	return setWhere(map, box, source, locked, (x, y) => {
		const ex = x - px, ey = y - py;
		let t = length ? (ex * dx + ey * dy) / length : 0;
		t = t < 0 ? 0 : t > 1 ? 1 : t;
		const fx = ex - t * dx, fy = ey - t * dy;
		return fx * fx + fy * fy <= limit;
	});
}

/** A line one pixel wide (Bresenham). @type {Shape} */
function thin(map, x, y, bx, by, source, locked) {
	const dx = Math.abs(bx - x), dy = -Math.abs(by - y), sx = x < bx ? 1 : -1, sy = y < by ? 1 : -1;
	let error = dx + dy, changed = null;
	for (;;) {
		changed = union(changed, setWhere(map, clipped(map, x, y, x + 1, y + 1), source, locked, () => true));
		if (x === bx && y === by) return changed;
		const twice = 2 * error;
		if (twice >= dy) { error += dy; x += sx; }
		if (twice <= dx) { error += dx; y += sy; }
	}
}

/** A filled rectangle. @type {Shape} */
export function rectangle(map, ax, ay, bx, by, source, locked) {
	return setWhere(map, between(map, ax, ay, bx, by), source, locked, () => true);
}

/** The ellipse inscribed in that rectangle. @type {Shape} */
export function ellipse(map, ax, ay, bx, by, source, locked) {
	[ax, ay, bx, by] = [ax, ay, bx, by].map(Math.floor);
	const cx = (ax + bx) / 2, cy = (ay + by) / 2, rx = (Math.abs(bx - ax) + 1) / 2, ry = (Math.abs(by - ay) + 1) / 2;
	return setWhere(map, between(map, ax, ay, bx, by), source, locked, (x, y) =>
		((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 <= 1);
}

function between(map, ax, ay, bx, by) {
	[ax, ay, bx, by] = [ax, ay, bx, by].map(Math.floor);
	return clipped(map, Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx) + 1, Math.max(ay, by) + 1);
}

/**
 * Give every pixel of one class another.
 * @param {LabelMap} map @param {number} from @param {Source} source @param {Uint8Array} locked @returns {Rect | null}
 */
export function replace(map, from, source, locked) {
	const { ids, width, height } = map;
	return setWhere(map, clipped(map, 0, 0, width, height), source, locked, (x, y) => ids[y * width + x] === from);
}

/**
 * Fill the 4-connected region around a pixel.
 *
 * With `gap` > 0 the fill does not pass openings up to that many pixels wide: it floods only pixels farther than half of
 * it from the region's boundary, and then grows back to the boundary.
 * @param {LabelMap} map @param {number} x @param {number} y @param {Source} source @param {Uint8Array} locked
 * @param {number} gap @returns {Rect | null}
 */
export function fill(map, x, y, source, locked, gap = 0) {
	const { ids, width, height } = map;
	const start = Math.floor(y) * width + Math.floor(x), from = ids[start];
	if (locked[from]) return null;
	const region = new Uint8Array(ids.length); // 1: same class, 2: to be filled
	for (let i = 0; i < ids.length; i++) region[i] = ids[i] === from ? 1 : 0;
	const radius = Math.ceil(gap / 2);
	const far = radius ? distances(region, width, height) : null; // null: nothing to close
	const seed = far ? nearestOpen(region, far, start, radius, width, height) : start;
	const reached = seed < 0
		? flood(region, start, width, () => true)
		: flood(region, seed, width, (i) => !far || far[i] > radius);
	if (far && seed >= 0) grow(region, reached, radius, width, height);
	return setWhere(map, clipped(map, 0, 0, width, height), source, locked, (px, py) => region[py * width + px] === 2);
}

/** Mark the pixels 4-connected to a start with 2. */
function flood(region, start, width, open) {
	const reached = [start];
	region[start] = 2;
	for (let n = 0; n < reached.length; n++) {
		const i = reached[n], x = i % width;
		for (const j of [x > 0 ? i - 1 : -1, x < width - 1 ? i + 1 : -1, i - width, i + width]) {
			if (region[j] === 1 && open(j)) { region[j] = 2; reached.push(j); }
		}
	}
	return reached;
}

/** Compute the chessboard distance of every pixel to the nearest one outside of the region (the edges are no boundary). */
function distances(region, width, height) {
	const far = new Uint16Array(region.length);
	const at = (x, y) =>
		x < 0 || y < 0 || x >= width || y >= height ? 60000 : far[y * width + x];
	for (let y = 0, i = 0; y < height; y++) {
		for (let x = 0; x < width; x++, i++) {
			far[i] = region[i] ? 1 + Math.min(59999, at(x - 1, y), at(x - 1, y - 1), at(x, y - 1), at(x + 1, y - 1)) : 0;
		}
	}
	for (let y = height - 1, i = region.length - 1; y >= 0; y--) {
		for (let x = width - 1; x >= 0; x--, i--) {
			const back = 1 + Math.min(59999, at(x + 1, y), at(x + 1, y + 1), at(x, y + 1), at(x - 1, y + 1));
			if (back < far[i]) far[i] = back;
		}
	}
	return far;
}

/** Find the nearest pixel that is far enough from the boundary, within a few steps of the start; -1 if there is none. */
function nearestOpen(region, far, start, radius, width, height) {
	const sx = start % width, sy = (start - sx) / width;
	for (let reach = 0; reach <= radius; reach++) {
		for (let y = Math.max(0, sy - reach); y <= Math.min(height - 1, sy + reach); y++) {
			for (let x = Math.max(0, sx - reach); x <= Math.min(width - 1, sx + reach); x++) {
				const i = y * width + x;
				if (region[i] && far[i] > radius) return i;
			}
		}
	}
	return -1;
}

/** Grow the marked pixels within the region; a diagonal step must not pass between two pixels outside of it. */
function grow(region, front, steps, width, height) {
	for (let step = 0; step < steps; step++) {
		const next = [];
		for (const i of front) {
			const x = i % width, y = (i - x) / width;
			for (let dy = -1; dy <= 1; dy++) {
				for (let dx = -1; dx <= 1; dx++) {
					const nx = x + dx, ny = y + dy;
					if (nx < 0 || ny < 0 || nx >= width || ny >= height) continue;
					const j = ny * width + nx;
					if (region[j] !== 1 || (dx && dy && !region[y * width + nx] && !region[ny * width + x])) continue;
					region[j] = 2;
					next.push(j);
				}
			}
		}
		front = next;
	}
}

/**
 * Resize a label map by nearest neighbour.
 * @param {LabelMap} map @param {number} width @param {number} height @returns {LabelMap}
 */
export function resized(map, width, height) {
	const ids = new Uint8Array(width * height);
	for (let y = 0, i = 0; y < height; y++) {
		const row = Math.floor(((y + 0.5) * map.height) / height) * map.width;
		for (let x = 0; x < width; x++, i++) ids[i] = map.ids[row + Math.floor(((x + 0.5) * map.width) / width)];
	}
	return { ids, width, height };
}

/**
 * Count the pixels of each class, most frequent first.
 * @param {Uint8Array} ids @returns {[number, number][]} pairs of id and number of pixels
 */
export function shares(ids) {
	const counts = new Uint32Array(256);
	for (const id of ids) counts[id]++;
	/** @type {[number, number][]} */
	const found = [];
	counts.forEach((count, id) => count && found.push([id, count]));
	return found.sort((a, b) => b[1] - a[1]);
}
