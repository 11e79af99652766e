// The nodes in a ring, and the connections between those that are alive: each has one to each.

import { svg, tone } from '/dom.js';

const WIDTH = 640, HEIGHT = 320;

export function topology({ nodes, here }) {
  const places = nodes.map((node, index) => {
    const angle = (index / nodes.length) * 2 * Math.PI - Math.PI / 2;
    const spread = nodes.length > 1 ? 1 : 0;
    return { node, x: WIDTH / 2 + spread * 230 * Math.cos(angle), y: HEIGHT / 2 + spread * 105 * Math.sin(angle) };
  });
  const lines = [];
  places.forEach((one, index) => places.slice(index + 1).forEach((other) => {
    const live = one.node.state === 'alive' && other.node.state === 'alive';
    lines.push(svg('line', { x1: one.x, y1: one.y, x2: other.x, y2: other.y, class: live ? 'live' : '', 'stroke-dasharray': live ? 'none' : '2 5' }));
  }));
  const dots = places.map(({ node, x, y }) => {
    const name = svg('text', { x, y: y - 24 });
    name.textContent = node.name === here ? `${node.name} (here)` : node.name;
    const count = svg('text', { x, y: y + 4 });
    count.textContent = node.state === 'alive' ? String(node.actors) : '–';
    const title = svg('title');
    title.textContent = `${node.name} at ${node.addr}: ${node.state}, ${node.actors} actors`;
    return svg('g', { class: tone(node.state) }, title, svg('circle', { cx: x, cy: y, r: 16 }), name, count);
  });
  const label = `${nodes.length} nodes, ${nodes.filter((node) => node.state === 'alive').length} alive`;
  return svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': label }, ...lines, ...dots);
}
