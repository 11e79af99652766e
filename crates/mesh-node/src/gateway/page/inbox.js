// What agents ask of people. An answer is about the hash that was shown, so nothing else can be run by it.

import { ago, h, pretty, span, tag, tone } from '/dom.js';
import { get, post } from '/mesh.js';

export function inbox(card) {
  const detail = h('section', { class: 'card', 'aria-live': 'polite' }, h('p', { class: 'empty' }, 'Choose a request to see all of it.'));
  const open = async (row) => {
    try { show(await get(`/approvals/${encodeURIComponent(row.node)}/${encodeURIComponent(row.id)}`)); } catch (error) { detail.replaceChildren(h('p', { class: 'said' }, error.message)); }
  };
  const show = (request) => detail.replaceChildren(...whole(request, (said) => { detail.replaceChildren(said); }));
  return { element: h('div', { class: 'split' }, card, detail), open };
}

function whole(request, done) {
  const { row } = request;
  const args = pretty(request.args);
  const edit = h('textarea', { 'aria-label': 'Arguments', spellcheck: 'false', value: args });
  const diff = h('pre', { class: 'diff', 'aria-label': 'Changes' });
  const note = h('input', { class: 'wide', placeholder: 'A note, if you like', 'aria-label': 'Note' });
  const said = h('p', { class: 'said', hidden: true });
  const isEdited = () => edit.value.trim() !== args.trim();
  const approve = h('button', { class: 'primary', type: 'button', onclick: () => answer(isEdited() ? 'edit' : 'approve') }, 'Approve');
  const reject = h('button', { class: 'danger', type: 'button', onclick: () => answer('reject') }, 'Reject');
  edit.addEventListener('input', () => {
    approve.textContent = isEdited() ? 'Approve with these changes' : 'Approve';
    diff.replaceChildren(...(isEdited() ? changes(args, edit.value) : []));
  });
  async function answer(verdict) {
    const body = { hash: row.hash, verdict, note: note.value };
    try {
      if (verdict === 'edit') body.args = JSON.parse(edit.value);
      approve.disabled = reject.disabled = true;
      const taken = await post(`/approvals/${encodeURIComponent(row.node)}/${encodeURIComponent(row.id)}/answer`, body);
      const more = taken.missing > 0 ? `, ${taken.missing} more must approve` : '';
      done(h('p', {}, `${row.action}: `, tag(taken.state, tone(taken.state)), more));
    } catch (error) {
      approve.disabled = reject.disabled = false;
      said.hidden = false;
      said.textContent = error instanceof SyntaxError ? `The arguments are no JSON: ${error.message}` : error.message;
    }
  }
  const waits = row.state === 'pending';
  return [
    h('h2', {}, row.action, ' ', tag(row.level, 'warn')),
    h('p', {}, request.description),
    h('dl', {},
      h('dt', {}, 'asked by'), h('dd', {}, row.agent),
      h('dt', {}, 'doing'), h('dd', {}, request.doing || '–'),
      h('dt', {}, 'asked'), h('dd', {}, `${ago(row.requested_ms)} ago; ${row.expires_in_ms ? `denied in ${span(row.expires_in_ms)}` : 'does not expire'}`),
      h('dt', {}, 'hash'), h('dd', {}, h('code', {}, row.hash.slice(0, 16)))),
    h('h3', {}, 'Arguments'),
    waits ? edit : h('pre', {}, args),
    diff,
    waits ? h('div', { class: 'row' }, note, approve, reject) : tag(row.state, tone(row.state)),
    said,
    h('h3', {}, 'So far'),
    h('ul', {}, request.events.map((event) => h('li', {}, `${event.what} by ${event.by}, ${ago(event.at_ms)} ago${event.note ? `: ${event.note}` : ''}`))),
  ];
}

// Line by line, by the longest common subsequence; arguments are short.
function changes(before, after) {
  const [a, b] = [before.split('\n'), after.split('\n')];
  if (a.length * b.length > 250000) return ['(too long to compare)'];
  const best = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      best[i][j] = a[i] === b[j] ? best[i + 1][j + 1] + 1 : Math.max(best[i + 1][j], best[i][j + 1]);
    }
  }
  const lines = [];
  for (let i = 0, j = 0; i < a.length || j < b.length;) {
    if (i < a.length && j < b.length && a[i] === b[j]) { lines.push(`  ${a[i]}\n`); i += 1; j += 1; }
    else if (j >= b.length || (i < a.length && best[i + 1][j] >= best[i][j + 1])) { lines.push(h('del', {}, `- ${a[i]}\n`)); i += 1; }
    else { lines.push(h('ins', {}, `+ ${b[j]}\n`)); j += 1; }
  }
  return lines;
}
