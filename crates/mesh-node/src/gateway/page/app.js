// The page: one view at a time, by the part of the address behind the #; keys 1 to 7 lead to them too.

import { h } from '/dom.js';
import { hasToken, link, onChange, seen, setToken, watch } from '/mesh.js';
import { views } from '/views.js';

const [main, nav, status, here] = ['main', 'nav', 'status', 'here'].map((id) => document.getElementById(id));
const links = views.map((view) => {
  const count = h('span', { class: 'count', hidden: true });
  return { view, count, element: h('a', { href: `#${view.path}` }, view.name, count) };
});
let current = null;

function go() {
  const view = views.find(({ path }) => `#${path}` === location.hash) ?? views[0];
  current = view.make();
  main.replaceChildren(current.element);
  current.show();
  document.title = `${view.name} – Mesh`;
  for (const { view: of, element } of links) {
    if (of === view) element.setAttribute('aria-current', 'page'); else element.removeAttribute('aria-current');
  }
}

function changed(part) {
  if (part === 'link') {
    status.className = link.state === 'live' ? '' : 'lost';
    status.textContent = link.state === 'live' ? 'live' : `${link.state}: ${link.why || 'trying again'}`;
    if (link.state === 'closed') askForToken(link.why);
    return;
  }
  if (part === 'nodes' && seen.nodes?.here) here.textContent = `seen by ${seen.nodes.here}`;
  for (const { view, count } of links) {
    const number = view.count?.() ?? 0;
    count.hidden = number === 0;
    count.textContent = String(number);
  }
  if (current?.parts.includes(part)) current.show();
}

function askForToken(why) {
  const token = h('input', { class: 'wide', type: 'password', 'aria-label': 'Token', autocomplete: 'off', required: true });
  const enter = (event) => { event.preventDefault(); setToken(token.value); start(); };
  current = null;
  main.replaceChildren(h('section', { class: 'card' },
    h('h2', {}, 'This page needs the token of its node'),
    h('p', {}, 'It is in the file http-token in the node’s part of the state folder, and in the address that the node shows on a terminal.'),
    why ? h('p', { class: 'said' }, why) : null,
    h('form', { onsubmit: enter }, token, h('button', { class: 'primary' }, 'Open'))));
  token.focus();
}

function start() {
  go();
  watch();
}

nav.append(...links.map(({ element }) => element));
onChange(changed);
addEventListener('hashchange', () => { if (current) go(); });
addEventListener('keydown', (event) => {
  const isTyping = ['INPUT', 'TEXTAREA', 'SELECT'].includes(event.target.tagName);
  const view = views[Number(event.key) - 1];
  if (view && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) location.hash = view.path;
});
if (hasToken()) start(); else askForToken('');
