// What a drawing starts from: a random composition, examples, files, photographs; and saving it.

import * as api from "./api.js";
import { composition, horizon } from "./compose.js";
import { ask, say } from "./controls.js";
import { $, element, input } from "./dom.js";
import * as i18n from "./i18n.js";
import { failed } from "./image.js";
import { showMap } from "./view.js";
/** @import { Drawing } from "./drawing.js" */
/** @import { LabelMap } from "./raster.js" */

const MOST_EXAMPLES = 12;
const HOW = { ids: "read_ids", palette_index: "read_index", exact_colours: "read_colours" };

/** Do something that the program may refuse, and say so. */
async function attempt(action) {
	try {
		await action();
	} catch (error) {
		failed(error);
	}
}

/** @param {Drawing} drawing @param {api.Class[]} classes @param {() => void} cleared */
export function starts(drawing, classes, cleared) {
	const size = () => ({ width: drawing.width, height: drawing.height });
	$("random").addEventListener("click", () => {
		const { width, height } = drawing;
		drawing.take(composition(classes, width, height, Math.floor(Math.random() * 2 ** 32)));
	});
	$("new").addEventListener("click", async () => {
		if (!await ask(() => i18n.t("new_question"), () => i18n.t("new_yes"))) return;
		const map = horizon(classes, drawing.width, drawing.height);
		drawing.take(map, { ground: map.ids.slice(), fresh: true });
		cleared();
	});
}

/**
 * Show examples as small drawings.
 * @param {Drawing} drawing @param {Uint32Array} table colours @param {{number: number, name: string}[]} list
 */
export async function examples(drawing, table, list) {
	for (const { number: n, name } of list.slice(0, MOST_EXAMPLES)) {
		await attempt(async () => {
			const map = await api.example(n, drawing);
			const canvas = element("canvas"), key = `scene_${name}`;
			const text = i18n.write(element("span"), () => (i18n.has(key) ? i18n.t(key) : name));
			showMap(canvas, map, table);
			const button = element("button", { className: "card picture" }, canvas, text);
			button.addEventListener("click", () => attempt(async () => {
				const { width, height } = drawing;
				const again = width === map.width && height === map.height ? { ...map, ids: map.ids.slice() } : await api.example(n, drawing);
				drawing.take(again);
			}));
			$("starts").append(button);
		});
	}
}

/** @param {Drawing} drawing */
export function files(drawing) {
	const [label, photograph] = [input("file"), input("photograph")];
	$("open").addEventListener("click", () => label.click());
	$("segment").addEventListener("click", () => photograph.click());
	for (const [field, use] of /** @type {any[]} */ ([[label, open], [photograph, segment]])) {
		field.addEventListener("change", () => {
			if (field.files?.[0]) use(field.files[0]);
			field.value = "";
		});
	}
	document.addEventListener("dragover", (event) => event.preventDefault());
	document.addEventListener("drop", (event) => {
		event.preventDefault();
		const file = event.dataTransfer?.files[0];
		if (file) (file.type === "image/jpeg" && !$("segment").hidden ? segment : open)(file);
	});

	function open(file) {
		attempt(async () => {
			const { report, ...map } = await api.imported(file, drawing);
			drawing.take(map);
			const how = HOW[report.how] || "read_ids";
			say(() => i18n.t("imported", { how: i18n.t(how) }));
		});
	}

	function segment(file) {
		attempt(async () => {
			drawing.take(await api.segmented(file, drawing));
			say(() => i18n.t("segmented"));
		});
	}
}

/** Save the drawing and its image. @param {Drawing} drawing @param {() => api.Look} look */
export function save(drawing, look) {
	return attempt(async () => {
		const chosen = look();
		const zip = await api.exported({ ...drawing.map, ids: drawing.ids.slice() }, chosen);
		const file = `paint_${chosen.seed}.zip`, link = element("a", { href: URL.createObjectURL(zip), download: file });
		link.click();
		setTimeout(() => URL.revokeObjectURL(link.href), 60000);
		say(() => i18n.t("exported", { file }));
	});
}
