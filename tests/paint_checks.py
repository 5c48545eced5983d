"""Checks of a page for people who cannot see it well, or use no mouse: names, contrast, sizes of targets, texts."""

from __future__ import annotations

from playwright.sync_api import Page

VISIBLE = "(e) => e.checkVisibility({visibilityProperty: true}) && !e.closest('.hidden, .skip, [hidden], defs')"
CONTROLS = "button, a[href], input, select, [role=radio], [tabindex]"


def visible_texts(page: Page) -> list[str]:
    """Texts, names, hints and descriptions in the order of the page; keys of the keyboard start with `kbd:`."""
    return page.evaluate(
        f"""() => {{
          const seen = {VISIBLE}, texts = [document.title];
          for (const e of document.body.querySelectorAll('*')) {{
            if (!seen(e) && !e.matches('.hidden:not([hidden])')) continue;
            if (['SCRIPT', 'OPTION'].includes(e.tagName)) continue;
            for (const name of ['aria-label', 'placeholder', 'alt']) {{
              if (e.getAttribute(name)) texts.push(e.getAttribute(name));
            }}
            const own = [...e.childNodes].filter((n) => n.nodeType === 3).map((n) => n.data).join('').trim();
            if (own) texts.push((e.tagName === 'KBD' ? 'kbd:' : '') + own);
          }}
          return texts;
        }}"""
    )


def controls_without_name(page: Page) -> list[str]:
    return page.evaluate(
        f"""() => [...document.querySelectorAll('{CONTROLS}')].filter({VISIBLE}).filter((e) => {{
          const by = e.getAttribute('aria-labelledby');
          const label = e.labels && [...e.labels].map((l) => l.textContent).join('');
          const other = by && document.getElementById(by).textContent;
          return !(e.getAttribute('aria-label') || other || label || e.textContent).trim();
        }}).map((e) => e.outerHTML.slice(0, 120))"""
    )


def small_targets(page: Page, side: int) -> list[str]:
    """Controls smaller than `side` pixels; a control in a label counts with its label."""
    return page.evaluate(
        f"""(side) => [...document.querySelectorAll('{CONTROLS}')].filter({VISIBLE}).filter((e) => {{
          const box = (e.closest('label') || e).getBoundingClientRect();
          const least = e.type === 'range' ? Math.min(side, 24) : side;
          return box.height < least - 0.5 || box.width < Math.min(side, 40) - 0.5;
        }}).map((e) => e.outerHTML.slice(0, 120))""",
        side,
    )


def low_contrast(page: Page) -> list[str]:
    """Texts below 4.5:1 on their ground, and borders of fields below 3:1; disabled controls are left out."""
    return page.evaluate(
        f"""() => {{
          const seen = {VISIBLE};
          const parse = (text) => [...text.match(/[\\d.]+/g).map(Number), 1].slice(0, 4);
          const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
            .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
          const ratio = (a, b) => {{
            const [x, y] = [light(a), light(b)].sort((m, n) => n - m);
            return (x + 0.05) / (y + 0.05);
          }};
          const ground = (e) => {{
            for (; e; e = e.parentElement) {{
              const colour = parse(getComputedStyle(e).backgroundColor);
              if (colour[3] === 1) return colour;
            }}
            return [255, 255, 255, 1];
          }};
          const low = [];
          for (const e of document.querySelectorAll('body *')) {{
            if (!seen(e) || e.closest(':disabled, .hint, .mark')) continue;
            const style = getComputedStyle(e);
            const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
            if (own && ratio(parse(style.color), ground(e)) < 4.5) low.push(`text ${{e.outerHTML.slice(0, 90)}}`);
            if (e.matches('select, input[type=search], input[type=number]')
              && ratio(parse(style.borderTopColor), ground(e.parentElement)) < 3) low.push(`border ${{e.id}}`);
          }}
          return low;
        }}"""
    )
