// Requests to the program that generates the images. Bodies are bytes; nothing leaves this address.

/** @import { LabelMap } from "./raster.js" */
/**
 * @typedef {{id: number, name: string, zh: string, group: string, colour: string}} Class
 * @typedef {{width: number, height: number}} Size
 * @typedef {{name: string, generator: string, version: string, size: [number, number], sizes: [number, number][],
 *   classes: Class[], takes_style: boolean, takes_seed: boolean, warmup_seconds: number, live: boolean, seed: number,
 *   weights: {number: number, name: string}[], loaded: number}} Model
 * @typedef {{seed: number, style: string, style2: string, blend: number | ""}} Look "": not given
 * @typedef {{seed: number, styles: string[], photographs: string[], blend: number}} Settings of a saved archive
 * @typedef {{url: string, number: number, seconds: number, cached: boolean}} Made
 */

const ROOT = new URL("../api/", import.meta.url);
const RAW = "application/octet-stream";

/** A refusal of the program, or no answer at all ("unreachable"). */
export class Refused extends Error {
	/** @param {string} code @param {{found?: string, wanted?: string, advice?: string}} [detail] @param {number} [wait] seconds */
	constructor(code, detail = {}, wait = 0) {
		super(code);
		this.code = code;
		this.detail = detail;
		this.wait = wait;
	}
}

/** */
async function ask(path, options = {}, query = {}) {
	const url = new URL(path, ROOT);
	for (const [name, value] of Object.entries(query)) if (value !== "") url.searchParams.set(name, String(value));
	let answer;
	try {
		answer = await fetch(url, options);
	} catch {
		throw new Refused("unreachable");
	}
	if (answer.ok) return answer;
	const detail = await answer.json().catch(() => ({}));
	throw new Refused(detail.error || "failed", detail, Number(answer.headers.get("Retry-After")) || 0);
}

const post = (body, type = RAW) => ({ method: "POST", body, headers: { "Content-Type": type } });

const bytes = (map) => /** @type {BufferSource} */ (map.ids);

/** What the program says of the loaded weights (docs/paint.md). @returns {Promise<Model>} */
export const model = async () => (await ask("model")).json();

/**
 * Generate the image of a label map; null if a newer request of the same client overtook it.
 * @param {LabelMap} map @param {Look} look @param {string} client @param {number} number
 * @returns {Promise<Made | null>}
 */
export async function generate(map, look, client, number) {
	const { width, height } = map;
	const answer = await ask("paint", post(bytes(map)), { width, height, ...look, client, number, format: "jpeg" });
	if (answer.status === 204) return null;
	const { headers } = answer;
	return {
		url: URL.createObjectURL(await answer.blob()), number: Number(headers.get("X-Number") ?? number),
		seconds: Number(headers.get("X-Seconds")) || 0, cached: headers.get("X-Cached") === "1",
	};
}

/** @param {LabelMap} map @param {Look} look @returns {Promise<Blob>} zip */
export async function exported(map, look) {
	const { width, height } = map;
	return (await ask("export", post(bytes(map)), { width, height, ...look })).blob();
}

const reportOf = (answer) => JSON.parse(answer.headers.get("X-Report") || "{}");

/** @param {Blob} file @param {Size} size @returns {Promise<LabelMap & {report: any}>} */
export async function imported(file, { width, height }) {
	const answer = await ask("import", post(file, file.type || RAW), { width, height });
	return { ids: await idsOf(answer, width * height), width, height, report: reportOf(answer) };
}

/** Open a saved archive. @param {Blob} file @returns {Promise<LabelMap & {report: Settings & {how: string, same_weights: boolean}}>} */
export async function opened(file) {
	const answer = await ask("open", post(file, "application/zip")), report = reportOf(answer);
	const { width, height } = report;
	return { ids: await idsOf(answer, width * height), width, height, report };
}

/** @param {Blob} photograph @param {Size} size @returns {Promise<LabelMap>} */
export async function segmented(photograph, { width, height }) {
	const answer = await ask("segment", post(photograph, photograph.type || RAW), { width, height });
	return { ids: await idsOf(answer, width * height), width, height };
}

/** @param {Blob} photograph @returns {Promise<{style: string, thumbnail: string}>} */
export const addStyle = async (photograph) => (await ask("style", post(photograph, photograph.type || RAW))).json();

/** Ready-made styles. @returns {Promise<{number: number, name: string, style: string}[]>} */
export const styles = async () => (await ask("styles")).json();

/** The photograph of a ready-made style. @param {number} n @returns {Promise<Blob>} */
export const photograph = async (n) => (await ask(`styles/${n}`)).blob();

/** @returns {Promise<{number: number, name: string}[]>} */
export const examples = async () => (await ask("examples")).json();

/** @param {number} n @param {Size} size @returns {Promise<LabelMap>} */
export async function example(n, { width, height }) {
	return { ids: await idsOf(await ask(`examples/${n}`, {}, { width, height }), width * height), width, height };
}

async function idsOf(answer, length) {
	const ids = new Uint8Array(await answer.arrayBuffer());
	if (ids.length !== length) throw new Refused("bad_length", { found: String(ids.length), wanted: String(length) });
	return ids;
}

/** Load other weights. @param {number} n */
export const chooseWeights = (n) => ask("weights", post(""), { number: n });

/**
 * Listen to the program's states.
 * @param {string} client @param {(state: any) => void} heard @param {() => void} lost
 */
export function events(client, heard, lost) {
	const source = new EventSource(new URL(`events?client=${client}`, ROOT));
	const take = (/** @type {MessageEvent} */ event) => heard(JSON.parse(event.data));
	source.addEventListener("message", take);
	source.addEventListener("state", take);
	source.addEventListener("error", lost);
	return source;
}
