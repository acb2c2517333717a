// Graphs: what is picked, and that every drawing shows it and nothing that a stranger wrote gets out of its text.

import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId, RoomId } from '../../../src/event/ids.js';
import { layOut } from '../../../src/reader/explain/drawing/lanes.js';
import { toSvg } from '../../../src/reader/explain/drawing/svg.js';
import { toDot, toMermaid } from '../../../src/reader/explain/drawing/text-formats.js';
import { AROUND_MAX, type Graph, graph, type GraphNode } from '../../../src/reader/explain/graph.js';
import { openRoom } from './rooms.js';

const test = suite('reader/explain/graph');

test('around an event: as many on each side as asked, in an order in which none is before what it follows', async () => {
  const { engine, room } = await openRoom('forks-v10');
  const target = room.expected.event_ids[200] ?? '';
  const drawn = await graph(engine.reader, target, { around: 10 });
  assert.is(drawn.room_id, room.expected.room_id);
  assert.is(drawn.nodes.length, 21);
  assert.equal(
    drawn.nodes.filter((node) => node.target).map(({ event_id }) => event_id),
    [target],
  );
  const places = new Map(drawn.nodes.map(({ event_id }, i) => [event_id, i]));
  assert.ok(drawn.edges.length >= 20);
  for (const { from, to } of drawn.edges) assert.ok((places.get(to) ?? Infinity) < (places.get(from) ?? -1));
  for (const node of drawn.nodes) {
    const { prevEvents } = engine.reader.event(node.event_id).pdu;
    assert.is(node.merge, prevEvents.length > 1);
    const edges = drawn.edges.filter(({ from }) => from === node.event_id);
    assert.is(edges.length + node.more_before, prevEvents.length);
    assert.is(node.fork, room.expected.forks.includes(node.event_id));
  }
  await engine.close();
});

test('of a room: its newest events, extremities marked, rejected and soft-failed ones too', async () => {
  const { engine, room } = await openRoom('rejects-v11');
  const {
    room_id: roomId,
    rejected_a: rejected,
    forward_extremities_a: extremities,
    event_ids: ids,
  } = room.expected;
  const drawn = await graph(engine.reader, roomId, { around: 100_000 });
  assert.is(drawn.nodes.length, Math.min(AROUND_MAX, ids.length));
  const marked = drawn.nodes.filter(({ extremity }) => extremity).map(({ event_id }) => event_id);
  assert.equal(marked.sort(), [...extremities].sort());
  const shown = drawn.nodes
    .filter(({ verdict }) => verdict === 'rejected')
    .map(({ event_id }) => event_id as string);
  assert.equal(shown.sort(), Object.keys(rejected).sort());
  const newest = await graph(engine.reader, roomId, { around: 5 });
  assert.is(newest.nodes.length, 5);
  assert.is((await graph(engine.reader, ids[3] ?? '', { around: 0 })).nodes.length, 1);
  await engine.close();
});

test('every format has each event, and the picture a legend', async () => {
  const { engine, room } = await openRoom('rejects-v11');
  const drawn = await graph(engine.reader, room.expected.room_id, { around: 60 });
  const svg = toSvg(drawn);
  for (const { event_id } of drawn.nodes) assert.ok(svg.includes(event_id), event_id);
  assert.is(svg.match(/<path d="M[^"]*" fill="none"/g)?.length, drawn.edges.length);
  for (const meaning of ['state event', 'soft failed', 'rejected', 'merge', 'forward extremity']) {
    assert.ok(svg.includes(`>${meaning}</text>`), meaning);
  }
  assert.ok(svg.includes('REJECTED') && svg.includes('EXTREMITY'));
  const dot = toDot(drawn);
  assert.is(dot.match(/ -> /g)?.length, drawn.edges.length);
  assert.is(dot.match(/tooltip=/g)?.length, drawn.nodes.length);
  assert.match(dot, /^digraph room \{[^]*\}\n$/);
  const mermaid = toMermaid(drawn);
  assert.is(mermaid.match(/ --> /g)?.length, drawn.edges.length);
  assert.match(mermaid, /^flowchart TB\n/);
  await engine.close();
});

const NODE: GraphNode = {
  event_id: '$event' as EventId,
  type: 'm.room.topic',
  state_key: '',
  sender: '@a:x.org',
  says: null,
  depth: 1,
  seq: 1,
  origin_server_ts: 0,
  verdict: 'accepted',
  outlier: false,
  fork: false,
  merge: false,
  resolved: false,
  extremity: true,
  target: true,
  more_before: 0,
  more_after: 0,
};

const graphOf = (nodes: readonly GraphNode[], edges: Graph['edges'] = []): Graph => ({
  room_id: '!room:x.org' as RoomId,
  nodes,
  edges,
});

test('whatever strangers write stays inside its text', () => {
  const evil = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 200 }),
    fc.constantFrom(
      '</text><script>alert(1)</script>',
      '"]; evil [label="',
      '\\',
      '\u202e\u0000\n"]\n',
      '--> x',
      '&lt;',
    ),
  );
  fc.assert(
    fc.property(evil, evil, evil, (type, key, says) => {
      const node = { ...NODE, type, state_key: key, says, sender: `@${key}:x.org` };
      const svg = toSvg(graphOf([node]));
      assert.not.match(svg, /[^\P{Cc}\n]|[\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u);
      assert.is(svg.match(/<(?!\/?(?:svg|title|style|rect|text|tspan|g|circle|path|line)[ >])/g), null);
      assert.is(svg.match(/<script/g), null);
      assert.is(svg.split('\n').length, toSvg(graphOf([NODE])).split('\n').length);
      const dot = toDot(graphOf([node])).split('\n');
      assert.is(dot.length, toDot(graphOf([NODE])).split('\n').length);
      for (const line of dot) assert.is((line.match(/(?<!\\)(?:\\\\)*"/g)?.length ?? 0) % 2, 0, line);
      const mermaid = toMermaid(graphOf([node]));
      assert.is(mermaid.split('\n').length, toMermaid(graphOf([NODE])).split('\n').length);
      assert.match(
        mermaid.split('\n')[1] ?? '',
        /^ {2}n0\["[^"[\]{}<>;]*(?:(?:<br\/>|#[0-9]+;)[^"[\]{}<>;]*)*"\]:::state$/,
      );
    }),
    { numRuns: 300 },
  );
});

test('no edge runs through a foreign event, and no two events share a place', () => {
  const dag = fc.array(fc.array(fc.nat(), { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(dag, (choices) => {
      const id = (i: number): EventId => `$${i}` as EventId;
      const edges = choices.flatMap((picks, i) =>
        i === 0
          ? []
          : [...new Set(picks.map((pick) => pick % i))].map((prev) => ({ from: id(i), to: id(prev) })),
      );
      const { spots, lines, lanes } = layOut(
        graphOf(
          choices.map((_, i) => ({ ...NODE, event_id: id(i) })),
          edges,
        ),
      );
      assert.is(lines.length, edges.length);
      spots.forEach(({ row, lane }, i) => {
        assert.is(row, i);
        assert.ok(lane >= 0 && lane < lanes);
      });
      for (const { from, to, lane } of lines) {
        for (const spot of spots.slice(from.row + 1, to.row)) assert.is.not(spot.lane, lane);
      }
    }),
    { numRuns: 300 },
  );
});

test.run();
