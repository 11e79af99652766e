// The way to the node: requests that show the token, and what the mesh looks like now.

const KEY = 'mesh-token';
const given = new URLSearchParams(location.hash.slice(1)).get('token');
if (given) {
  // It is in the address only until here: it belongs into no history and no bookmark.
  sessionStorage.setItem(KEY, given);
  history.replaceState(null, '', location.pathname);
}

export const hasToken = () => Boolean(sessionStorage.getItem(KEY));
export const setToken = (token) => sessionStorage.setItem(KEY, token.trim());

export class Refused extends Error {
  constructor(status, document) { super(document.message ?? `HTTP ${status}`); this.status = status; this.document = document; }
}

async function request(path, options = {}) {
  const headers = { authorization: `Bearer ${sessionStorage.getItem(KEY) ?? ''}` };
  if (options.body) headers['content-type'] = 'application/json';
  const response = await fetch(`/api/v1${path}`, { ...options, headers, cache: 'no-store' });
  if (!response.ok) throw new Refused(response.status, await response.json().catch(() => ({})));
  return response;
}

export const get = async (path) => (await request(path)).json();
export const post = async (path, body) => (await request(path, { method: 'POST', body: JSON.stringify(body) })).json();

// What was seen last, part by part.
export const seen = {};
const listeners = new Set();
export const onChange = (listener) => listeners.add(listener);
const tell = (part) => listeners.forEach((listener) => listener(part));

export const link = { state: 'connecting', why: '' };
function turn(state, why = '') { link.state = state; link.why = why; tell('link'); }

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { value, done } = await Promise.race([reader.read(), late()]);
    if (done) return;
    text += value;
    for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
      const event = { name: 'message', data: '' };
      for (const line of text.slice(0, end).split('\n')) {
        if (line.startsWith('event:')) event.name = line.slice(6).trim();
        else if (line.startsWith('data:')) event.data += line.slice(5).trimStart();
      }
      yield event;
    }
  }
}

// The node looks each second; one that says nothing for so long is gone, whatever the connection thinks.
const late = () => new Promise((_, reject) => { setTimeout(() => reject(new Error('the node says nothing')), 15000); });
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

export async function watch() {
  for (let wait = 500; ; wait = Math.min(wait * 2, 10000)) {
    const stop = new AbortController();
    try {
      const response = await request('/live', { signal: stop.signal });
      for await (const { name, data } of events(response)) {
        wait = 500;
        if (link.state !== 'live') turn('live');
        if (name === 'looked') continue;
        seen[name] = JSON.parse(data);
        tell(name);
      }
      turn('lost', 'the node has ended the connection');
    } catch (error) {
      if (error.status === 403) { turn('closed', error.message); return; }
      turn('lost', error.message);
    }
    stop.abort();
    await pause(wait);
  }
}
