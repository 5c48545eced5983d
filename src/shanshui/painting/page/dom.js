// Elements of the page.

/** @param {string} id @returns {any} */
export const $ = (id) => document.getElementById(id);

/** @type {(id: string) => HTMLInputElement} */
export const input = $;

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag @param {Record<string, any>} [properties] @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function element(tag, { data = {}, ...properties } = {}, ...children) {
	const made = Object.assign(document.createElement(tag), properties);
	Object.assign(made.dataset, data);
	made.append(...children);
	return made;
}

/** Let a person choose a file with a button. @param {string} button @param {string} field @param {(file: File) => void} use */
export function chooses(button, field, use) {
	const files = input(field);
	$(button).onclick = () => files.click();
	files.onchange = () => {
		if (files.files?.[0]) use(files.files[0]);
		files.value = "";
	};
}

/** @param {string} selector @returns {HTMLElement[]} */
export const all = (selector) => /** @type {any[]} */ ([...document.querySelectorAll(selector)]);
