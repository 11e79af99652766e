// What can be looked at. Each view gives its element, and what to do when one of its parts has changed.

import { ago, h, pretty, span, table, tag, tone } from '/dom.js';
import { inbox } from '/inbox.js';
import { get, post, seen } from '/mesh.js';
import { topology } from '/topology.js';

const rows = (part, list) => (seen[part]?.rows ?? []).flatMap((row) => row[list].map((of) => ({ node: row.node, ...of })));
const state = (row) => tag(row.state ?? row.status, tone(row.state ?? row.status));
const card = (title, ...children) => h('section', { class: 'card' }, h('h2', {}, title), ...children);

function nodes() {
  const picture = h('div');
  const list = table([
    ['Node', (row) => row.name], ['State', state], ['Address', (row) => row.addr],
    ['Labels', (row) => Object.entries(row.labels).map(([key, value]) => `${key}=${value}`).join(' ') || '–'],
    ['Actors', (row) => String(row.actors), 'number'],
  ]);
  const show = () => {
    if (!seen.nodes?.nodes) return;
    picture.replaceChildren(topology(seen.nodes));
    list.show(seen.nodes.nodes.map((row) => [row.name, row]));
  };
  return { element: h('div', { class: 'split' }, card('Topology', picture), card('Nodes', list)), parts: ['nodes'], show };
}

function mailbox({ mailbox: { len, capacity } }) {
  const gauge = h('meter', { min: 0, max: capacity || 1, low: capacity * 0.5, high: capacity * 0.8, optimum: 0, value: len, 'aria-label': 'mailbox' });
  return h('span', {}, gauge, ` ${len}/${capacity}`);
}

function actors() {
  const search = h('input', { class: 'wide', type: 'search', placeholder: 'Part of a name, a kind or a capability', 'aria-label': 'Search', oninput: () => show() });
  const count = h('span', { class: 'faint' });
  const list = table([
    ['Actor', (row) => row.path], ['State', state], ['Mailbox', mailbox], ['Restarts', (row) => String(row.restarts), 'number'],
    ['Takes', (row) => row.kinds.join(' ') || '–'], ['Can', (row) => row.capabilities.join(' ') || '–'],
  ], { empty: 'No actor is called so.' });
  const show = () => {
    const all = rows('actors', 'actors');
    const wanted = search.value.toLowerCase();
    const found = all.filter((row) => [row.path, ...row.kinds, ...row.capabilities].some((text) => text.toLowerCase().includes(wanted)));
    found.sort((a, b) => (a.path < b.path ? -1 : 1));
    count.textContent = found.length === all.length ? `${all.length} actors` : `${found.length} of ${all.length} actors`;
    list.show(found.slice(0, 1500).map((row) => [row.path, row]));
  };
  return { element: card('Actors', h('div', { class: 'row' }, search, count), list), parts: ['actors'], show };
}

function trees() {
  const all = h('div', { class: 'trees' });
  const show = () => {
    all.replaceChildren(...(seen.trees?.rows ?? []).map(({ node, rows: flat }) => {
      const root = h('ul', { class: 'tree' });
      const path = [root];
      for (const row of flat) {
        const below = h('ul');
        const restarts = row.restarts > 0 ? h('span', { class: 'warn' }, ` ${row.restarts} restarts`) : null;
        const crash = row.last_crash ? h('span', { class: 'faint' }, ` last crash: ${row.last_crash}`) : null;
        const item = h('li', {}, row.name, ' ', tag(row.strategy ?? row.state, row.strategy ? 'faint' : tone(row.state)), restarts, crash, below);
        path[row.depth]?.append(item);
        path[row.depth + 1] = below;
        path.length = row.depth + 2;
      }
      return card(node, root);
    }));
  };
  return { element: all, parts: ['trees'], show };
}

function breakers() {
  const list = table([
    ['Target', (row) => row.name], ['Seen by', (row) => row.node], ['State', state],
    ['Calls', (row) => String(row.calls), 'number'], ['Failed', (row) => String(row.failures), 'number'], ['Slow', (row) => String(row.slow), 'number'],
    ['Refused', (row) => String(row.rejected), 'number'], ['Since', (row) => span(Math.floor(row.since_ms / 10000) * 10000)],
  ], { empty: 'Nothing has failed so that it is left alone.' });
  const letters = table([
    ['Actor', (row) => row.actor], ['Kind', (row) => row.kind], ['Why', (row) => `${row.reason}: ${row.why}`],
    ['Times', (row) => String(row.times), 'number'], ['Bytes', (row) => String(row.bytes), 'number'],
  ], { empty: 'No message was given up.' });
  const show = () => {
    list.show(rows('breakers', 'breakers').map(({ since_ms, ...row }) => [`${row.node} ${row.name}`, { ...row, since_ms: Math.floor(since_ms / 10000) * 10000 }]));
    letters.show(rows('dead_letters', 'letters').map(({ age_ms, ...row }) => [`${row.node} ${row.id}`, row]));
  };
  return { element: h('div', { class: 'split' }, card('Circuit breakers', list), card('Dead letters', letters)), parts: ['breakers', 'dead_letters'], show };
}

function runs() {
  const detail = h('section', { class: 'card' }, h('p', { class: 'empty' }, 'Choose a run to see its steps.'));
  let open = null;
  const list = table([
    ['Run', (row) => row.run], ['Agent', (row) => row.agent], ['State', state],
    ['Step', (row) => (row.steps === null ? '–' : `${row.current_step}/${row.steps}`), 'number'], ['At', (row) => row.holder ?? row.node], ['Fault', (row) => row.fault ?? '–'],
  ], { empty: 'No durable agent has run here.', open: (row) => { open = row; look(); } });
  async function look() {
    if (!open) return;
    const path = `/runs/${encodeURIComponent(open.node)}/${encodeURIComponent(open.run)}`;
    try { detail.replaceChildren(...shown(await get(path), path)); } catch (error) { detail.replaceChildren(h('p', { class: 'said' }, error.message)); }
  }
  function shown({ row, task, steps, calls }, path) {
    const said = h('p', { class: 'said', hidden: true });
    const order = (name, text) => h('button', { type: 'button', onclick: async () => {
      try { await post(`${path}/${name}`, {}); look(); } catch (error) { said.hidden = false; said.textContent = error.message; }
    } }, text);
    return [
      h('h2', {}, row.run, ' ', state(row)), h('p', {}, task),
      h('div', { class: 'row' }, order('pause', 'Pause'), order('resume', 'Resume'), order('cancel', 'Cancel')), said,
      h('h3', {}, 'Steps'),
      h('ul', {}, steps.map((step) => h('li', {}, `${step.step + 1}. ${step.name} `, tag(step.state, tone(step.state)), step.result ? h('pre', {}, pretty(step.result)) : null))),
      calls.length ? h('h3', {}, 'Tool calls') : null,
      calls.length ? h('ul', {}, calls.map((call) => h('li', {}, `${call.tool} `, tag(call.state, tone(call.state))))) : null,
    ].filter(Boolean);
  }
  const show = () => {
    // Nodes that share a store tell the same run: the one that works on it counts.
    const best = new Map();
    for (const row of rows('runs', 'runs')) if (!best.has(row.run) || row.is_here) best.set(row.run, row);
    const sorted = [...best.values()].sort((a, b) => b.updated_ms - a.updated_ms);
    list.show(sorted.map((row) => [row.run, row]));
    look();
  };
  return { element: h('div', { class: 'split' }, card('Runs', list), detail), parts: ['runs'], show };
}

function approvals() {
  let view;
  const list = table([
    ['Action', (row) => row.action], ['Arguments', (row) => row.args], ['Asked by', (row) => row.agent], ['Level', (row) => tag(row.level, 'warn')],
    ['Asked', (row) => `${ago(row.requested_ms)} ago`],
  ], { empty: 'Nobody waits for you.', open: (row) => view.open(row) });
  view = inbox(card('Waiting for a person', list));
  const show = () => list.show(rows('approvals', 'approvals').map(({ waits_ms, expires_in_ms, ...row }) => [row.id, row]));
  return { element: view.element, parts: ['approvals'], show };
}

function memory() {
  const [scope, query] = [['Scope, such as acme/planner', 'acme/planner'], ['What to recall', '']].map(([label]) => h('input', { class: 'wide', placeholder: label, 'aria-label': label, required: true }));
  const node = h('select', { 'aria-label': 'Node' });
  const said = h('p', { class: 'said', hidden: true });
  const found = table([
    ['Memory', (row) => row.memory.content], ['Score', (row) => row.score.toFixed(2), 'number'], ['Why', (row) => row.explanation], ['By', (row) => row.memory.by],
  ], { empty: 'Nothing was recalled yet.' });
  const search = async (event) => {
    event.preventDefault();
    said.hidden = true;
    try {
      const path = scope.value.split('/').map(encodeURIComponent).join('/');
      const { memories } = await get(`/memory/${encodeURIComponent(node.value)}/${path}?query=${encodeURIComponent(query.value)}&limit=20`);
      found.show(memories.map((row) => [row.memory.id, row]));
    } catch (error) { said.hidden = false; said.textContent = error.message; }
  };
  const show = () => {
    const names = (seen.nodes?.nodes ?? []).filter((row) => row.state === 'alive').map((row) => row.name);
    if (names.join() !== [...node.options].map((option) => option.value).join()) node.replaceChildren(...names.map((name) => h('option', {}, name)));
  };
  return { element: card('Memory', h('form', { onsubmit: search }, node, scope, query, h('button', { class: 'primary' }, 'Recall')), said, found), parts: ['nodes'], show };
}

export const views = [
  { path: 'mesh', name: 'Mesh', make: nodes },
  { path: 'actors', name: 'Actors', make: actors },
  { path: 'trees', name: 'Trees', make: trees },
  { path: 'breakers', name: 'Breakers', make: breakers, count: () => rows('breakers', 'breakers').filter((row) => row.state !== 'closed').length },
  { path: 'runs', name: 'Runs', make: runs },
  { path: 'approvals', name: 'Approvals', make: approvals, count: () => rows('approvals', 'approvals').length },
  { path: 'memory', name: 'Memory', make: memory },
];
