// Elements. What comes from agents only ever becomes text, never markup.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  dress(element, attributes);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function dress(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'value') element.value = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
}

export const tag = (text, tone) => h('span', { class: `tag ${tone}` }, text);

export function tone(state) {
  if (['alive', 'running', 'completed', 'closed', 'ok', 'done', 'approved'].includes(state)) return 'good';
  if (['down', 'failed', 'open', 'rejected', 'forced_open'].includes(state)) return 'bad';
  if (['left', 'stopped', 'cancelled', 'expired', 'planned'].includes(state)) return 'faint';
  return 'warn';
}

// A table whose rows keep their elements as long as they say the same: a thousand of them are looked at each second.
export function table(columns, { empty, open } = {}) {
  const body = h('tbody');
  const kept = new Map();
  const head = columns.map(([name, , kind]) => h('th', { class: kind, scope: 'col' }, name));
  const whole = h('table', {}, h('thead', {}, h('tr', {}, head)), body);
  const nothing = h('p', { class: 'empty' }, empty ?? 'Nothing.');
  const element = h('div', {}, whole, nothing);
  const make = (row) => {
    const cells = columns.map(([, show, kind]) => h('td', { class: kind }, show(row) ?? '–'));
    const act = open && ((event) => { if (event.type === 'click' || event.key === 'Enter') open(row); });
    return h('tr', open ? { tabindex: 0, onclick: act, onkeydown: act } : {}, cells);
  };
  element.show = (rows) => {
    const gone = new Set(kept.keys());
    rows.forEach(([key, row], index) => {
      const said = JSON.stringify(row);
      let old = kept.get(key);
      if (old?.said !== said) {
        const made = make(row);
        if (old) old.element.replaceWith(made);
        old = { said, element: made };
        kept.set(key, old);
      }
      if (body.children[index] !== old.element) body.insertBefore(old.element, body.children[index] ?? null);
      gone.delete(key);
    });
    for (const key of gone) { kept.get(key).element.remove(); kept.delete(key); }
    whole.hidden = rows.length === 0;
    nothing.hidden = rows.length > 0;
  };
  element.show([]);
  return element;
}

export function span(ms) {
  const s = Math.round(ms / 1000);
  if (s < 1) return 'now';
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d`;
}

export const ago = (ms) => span(Math.max(0, Date.now() - ms));

export function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}
