// What a drawing starts from: a random composition, examples, files, photographs; and saving it.

import * as api from "./api.js";
import { composition, horizon } from "./compose.js";
import { ask, say } from "./controls.js";
import { $, chooses, element } from "./dom.js";
import * as i18n from "./i18n.js";
import { attempt } from "./image.js";
import { showMap } from "./view.js";
/** @import { Drawing } from "./drawing.js" */
/** @import { LabelMap } from "./raster.js" */

const MOST_EXAMPLES = 12;
const HOW = { ids: "read_ids", palette_index: "read_index", exact_colours: "read_colours", archive: "read_archive" };

/** @param {Drawing} drawing @param {api.Class[]} classes @param {() => void} cleared */
export function starts(drawing, classes, cleared) {
	$("random").onclick = () => {
		const { width, height } = drawing;
		drawing.take(composition(classes, width, height, Math.floor(Math.random() * 2 ** 32)));
	};
	$("new").onclick = async () => {
		if (!await ask("new_question", "new_yes")) return;
		const map = horizon(classes, drawing.width, drawing.height);
		drawing.take(map, { ground: map.ids.slice(), fresh: true });
		cleared();
	};
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
			button.onclick = () => attempt(async () => {
				const { width, height } = drawing;
				const again = width === map.width && height === map.height ? { ...map, ids: map.ids.slice() } : await api.example(n, drawing);
				drawing.take(again);
			});
			$("starts").append(button);
		});
	}
}

/** @param {Drawing} drawing @param {(settings: api.Settings) => void} use takes seed and styles of a saved archive */
export function files(drawing, use) {
	chooses("open", "file", open);
	chooses("segment", "photograph", segment);
	document.addEventListener("dragover", (event) => event.preventDefault());
	document.addEventListener("drop", (event) => {
		event.preventDefault();
		const file = event.dataTransfer?.files[0];
		if (file) (file.type === "image/jpeg" && !$("segment").hidden ? segment : open)(file);
	});

	function open(file) {
		attempt(async () => {
			const zip = /zip/.test(file.type) || /\.zip$/i.test(file.name);
			const { report, ...map } = await (zip ? api.opened(file) : api.imported(file, drawing));
			if (zip && !report.same_weights && !await ask("other_question", "open")) return;
			drawing.take(map);
			if (zip) use(report);
			const how = HOW[report.how];
			say(() => i18n.t("imported", { how: i18n.t(how) }));
		});
	}

	function segment(file) {
		attempt(async () => {
			drawing.take(await api.segmented(file, drawing));
			say("segmented");
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
