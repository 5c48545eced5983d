// The last drawing, kept in this browser.

import { pack, unpack } from "./history.js";
/** @import { LabelMap } from "./raster.js" */

/** @typedef {{map: LabelMap, seed: number, time: number, classes: string[]}} Saved */

const [NAME, STORE, KEY] = ["shanshui", "drawings", "last"];

function open() {
	return new Promise((resolve, reject) => {
		const request = indexedDB.open(NAME, 1);
		request.onupgradeneeded = () => request.result.createObjectStore(STORE);
		request.onsuccess = () => resolve(request.result);
		request.onerror = () => reject(request.error);
	});
}

/** @template T @param {IDBTransactionMode} mode @param {(store: IDBObjectStore) => IDBRequest} use @returns {Promise<T | null>} */
async function within(mode, use) {
	try {
		const base = await open();
		return await new Promise((resolve, reject) => {
			const request = use(base.transaction(STORE, mode).objectStore(STORE));
			request.onsuccess = () => resolve(request.result ?? null);
			request.onerror = () => reject(request.error);
		}).finally(() => base.close());
	} catch {
		return null; // a private window may have no database: then nothing is kept
	}
}

/** @param {Saved} saved */
export const save = ({ map, ...rest }) => within("readwrite", (store) => store.put({ ...rest, packed: pack(map) }, KEY));

/** @returns {Promise<Saved | null>} */
export async function saved() {
	/** @type {any} */
	const found = await within("readonly", (store) => store.get(KEY));
	return found ? { map: unpack(found.packed), seed: found.seed, time: found.time, classes: found.classes } : null;
}

export const forget = () => within("readwrite", (store) => store.delete(KEY));
