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

/** @param {string} selector @returns {HTMLElement[]} */
export const all = (selector) => /** @type {any[]} */ ([...document.querySelectorAll(selector)]);
