// The commands that explain, run as a shell runs them: why, blame, graph, and resolve on a stored merge.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadRoom } from '../fixtures.js';
import { fixture, jsonOf, makeWorkplace } from './run.js';

const test = suite('cli/explain');
const place = makeWorkplace();
const { lines, expected } = loadRoom('reset-v10');
const { room_id: roomId, current_state_a: current, soft_failed_a: softFailed } = expected;
const isPublic = '$ewMDhvRCdiSwurRa-yrx9S3TWjL_g0FP_4r-5881HAw';
const restricted = '$bvW938AVkZ2VhV6f7JpGBVfNuumQittAAIB9zemuTwY';
const merge = '$737sLpvZOyxXLTgj__izgpABryblzEOlF-L_T4yRdTE';
const keys = fixture('reset-v10', 'keys.json');

test.before(() => {
  const events = lines.map((line) => Buffer.from(line).toString('utf8')).join('\n');
  const ran = place.run(['import', '-', '--no-verify', '--json'], events);
  assert.is(ran.code, 0, ran.stderr);
});
test.after(() => place.remove());

test('why prints every check with rule, outcome, events and root', () => {
  const [id] = softFailed;
  const ran = place.run(['why', id ?? '', '--keys', keys, '--json']);
  assert.is(ran.code, 0, ran.stderr);
  const told = jsonOf<{
    verdict: string;
    checks: Array<Record<string, string | boolean | readonly string[] | null>>;
  }>(ran);
  assert.is(told.verdict, 'soft_failed');
  assert.equal(
    told.checks.map(({ check, passed }) => [check, passed]),
    [
      ['format', true],
      ['signatures', true],
      ['content_hash', true],
      ['auth_events', true],
      ['auth_by_auth_events', true],
      ['auth_by_state_before', true],
      ['auth_by_current_state', false],
    ],
  );
  for (const check of told.checks) {
    for (const name of ['check', 'rule', 'reason']) assert.type(check[name], 'string', name);
    assert.type(check['passed'], 'boolean');
    assert.ok(Array.isArray(check['auth_events']));
    const { root } = check;
    assert.ok(root === null || (typeof root === 'string' && /^[0-9a-f]{64}$/.test(root)));
  }
});

test('why for people names the checks, the levels and what became of the event', () => {
  const ran = place.run(['why', isPublic]);
  assert.is(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, `${isPublic} accepted OK`);
  assert.match(ran.stdout, '✓ auth_by_state_before  rule 10');
  assert.match(ran.stdout, '100; 75 needed to send m.room.join_rules');
  assert.match(ran.stdout, `it beat ${isPublic}`);
  assert.match(ran.stdout, 'Signatures were not verified again');
});

test('why of an event that is not there says no', () => {
  const ran = place.run(['why', '$nothing', '--json']);
  assert.is(ran.code, 1);
  assert.is(ran.stdout, '');
  assert.match(ran.stderr, 'READER_EVENT_UNKNOWN');
});

test('blame of a room has an entry for each of the state, and says on stderr what was lost', () => {
  const ran = place.run(['blame', roomId, '--json']);
  assert.is(ran.code, 0, ran.stderr);
  const entries = jsonOf<Array<{ type: string; state_key: string; event_id: string }>>(ran);
  assert.equal(
    entries.map(({ type, state_key, event_id }) => [type, state_key, event_id]),
    current,
  );
  assert.match(ran.stderr, '2 keys lost in merges');
  const members = jsonOf<Array<{ event_id: string | null }>>(
    place.run(['blame', roomId, 'm.room.member', '--json']),
  );
  assert.is(members.filter(({ event_id }) => event_id === null).length, 2);
});

test('blame of a key tells the merge, the winner, what it beat and the rule', () => {
  const ran = place.run(['blame', roomId, 'm.room.join_rules', '', '--json']);
  const [entry, ...others] =
    jsonOf<
      Array<{
        event_id: string;
        since: { event_id: string };
        resolution: { merge: string; winner: string; over: string[]; trace: string };
        beat: Array<{ event_id: string; rule: string; how: string }>;
      }>
    >(ran);
  assert.equal(others, []);
  assert.is(entry?.event_id, restricted);
  assert.is(entry?.since.event_id, merge);
  assert.is(entry?.resolution.merge, merge);
  assert.equal(entry?.resolution.over, [isPublic]);
  assert.match(entry?.resolution.trace ?? '', /^[0-9a-f]{32}$/);
  assert.equal(
    [entry?.beat[0]?.event_id, entry?.beat[0]?.rule, entry?.beat[0]?.how],
    [isPublic, 'power order', 'overtaken'],
  );
  const text = place.run(['blame', roomId, 'm.room.join_rules', '']).stdout;
  assert.match(text, 'The merge, step by step');
  assert.match(text, '100 before 75');
  assert.is(place.run(['blame', roomId, 'org.example.nothing', '']).code, 1);
  assert.is(place.run(['blame', '!nowhere:x.org']).code, 1);
});

test('graph draws in four formats, bounded, and takes nothing else', () => {
  const json = jsonOf<{ nodes: Array<{ event_id: string; target: boolean }>; edges: unknown[] }>(
    place.run(['graph', merge, '--around', '6', '--format', 'json']),
  );
  assert.is(json.nodes.length, 13);
  assert.is(json.nodes.find(({ target }) => target)?.event_id, merge);
  assert.equal(jsonOf(place.run(['graph', merge, '--around', '6', '--json'])), json);
  const svg = place.run(['graph', merge, '--around', '6', '--format', 'svg']).stdout;
  assert.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"[^]*<\/svg>\n$/);
  assert.match(place.run(['graph', roomId]).stdout, /^digraph room \{/);
  assert.match(place.run(['graph', roomId, '--format', 'mermaid']).stdout, /^flowchart TB\n/);
  for (const args of [
    ['graph', 'word'],
    ['graph', merge, '--around', '201'],
    ['graph', merge, '--format', 'png'],
  ]) {
    assert.is(place.run(args).code, 2, args.join(' '));
  }
  assert.is(place.run(['graph', '$nothing']).code, 1);
});

test('resolve tries another algorithm on a stored merge', () => {
  const ran = place.run(['resolve', merge, '--try', 'v1', '--json']);
  assert.is(ran.code, 0, ran.stderr);
  const told = jsonOf<{
    event_id: string;
    differs: Array<Record<string, unknown>>;
    trace: { algorithm: string };
  }>(ran);
  assert.is(told.event_id, merge);
  assert.is(told.trace.algorithm, 'v1');
  assert.ok(told.differs.some(({ stored, tried }) => stored === restricted && tried === isPublic));
  assert.match(place.run(['resolve', roomId, '--try', 'v2.1']).stdout, 'nothing would differ');
  assert.is(place.run(['resolve', merge, '--try', 'v3']).code, 2);
  assert.is(place.run(['resolve', merge, '--events', 'x']).code, 2);
  assert.is(place.run(['resolve', '$nothing', '--try', 'v1']).code, 1);
});

test.run();
