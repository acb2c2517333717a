// `stateroom resolve` on files: random rooms, and stories named by STATEROOM_STORIES (see test/stories).

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { loadLines, loadRoom } from '../fixtures.js';
import { jsonOf, makeWorkplace, type Ran } from './run.js';

interface Row {
  readonly type: string;
  readonly state_key: string;
  readonly event_id: string;
}

/** A room with what its states, or its forward extremities, resolve to. */
interface Story {
  readonly name: string;
  readonly room_version: string;
  readonly events: readonly object[];
  readonly batches?: readonly unknown[];
  readonly state_sets?: readonly (readonly string[])[];
  readonly expected: readonly Row[];
}

interface Resolved {
  readonly state: readonly Row[];
  readonly root: string;
  readonly trace: { readonly output: string };
}

const test = suite('cli/explain-resolve');
const place = makeWorkplace();
test.after(() => place.remove());

const rows = (state: readonly Row[]) =>
  state.map(({ type, state_key, event_id }) => [type, state_key, event_id]);
const sorted = (state: readonly Row[]) =>
  rows(state)
    .map((row) => JSON.stringify(row))
    .sort();

function resolveStory({ room_version, events }: Story, sets: Story['state_sets'], asLines: boolean): Ran {
  const text = asLines ? events.map((event) => JSON.stringify(event)).join('\r\n') : JSON.stringify(events);
  writeFileSync(place.file('events.json'), text);
  const states = (sets ?? []).flatMap((ids, i) => {
    writeFileSync(place.file(`state-${i}.json`), JSON.stringify(ids));
    return ['--state', `state-${i}.json`];
  });
  return place.run([
    'resolve',
    '--room-version',
    room_version,
    '--events',
    'events.json',
    ...states,
    '--trust-ids',
    '--json',
  ]);
}

/** Some of each room version; the others are resolved without a process each in reader/explain. */
const EVERY = 30;
const stories = loadLines('state-resolution/random.jsonl').map(
  (line) => JSON.parse(Buffer.from(line).toString()) as Story,
);

test('random rooms resolve as expected, from their states and from their events', () => {
  for (const story of stories.filter((_, i) => i % EVERY === 0)) {
    const fromStates = resolveStory(story, story.state_sets, false);
    assert.is(fromStates.code, 0, fromStates.stderr);
    assert.is(fromStates.stderr, '');
    const { state, root, trace, ...rest } = jsonOf<Resolved>(fromStates);
    assert.equal(rest, {});
    assert.equal(rows(state), rows(story.expected), story.name);
    assert.is(trace.output, root);
    for (const row of state) assert.equal(Object.keys(row), ['type', 'state_key', 'event_id']);
    const fromEvents = jsonOf<Resolved>(
      resolveStory({ ...story, events: story.events.toReversed() }, [], true),
    );
    assert.equal(rows(fromEvents.state), rows(story.expected), story.name);
    assert.is(fromEvents.root, root);
  }
});

const folder = process.env['STATEROOM_STORIES'];
for (const file of folder ? readdirSync(folder).filter((name) => name.endsWith('.json')) : []) {
  test(`the story in ${file}`, () => {
    const story = JSON.parse(readFileSync(join(folder ?? '', file), 'utf8')) as Story;
    for (const sets of [
      ...(story.batches === undefined ? [] : [[]]),
      ...(story.state_sets === undefined ? [] : [story.state_sets]),
    ]) {
      const ran = resolveStory(story, sets, false);
      assert.is(ran.code, 0, ran.stderr);
      assert.equal(sorted(jsonOf<Resolved>(ran).state), sorted(story.expected));
    }
  });
}

test('the events of a real room, from stdin, give its state; what was rejected is said on stderr', () => {
  const { lines, expected } = loadRoom('rejects-v11');
  const { current_state_a: current, rejected_a: rejected } = expected;
  const events = lines.map((line) => Buffer.from(line).toString('utf8')).join('\n');
  const ran = place.run(['resolve', '--room-version', '11', '--events', '-', '--json'], events);
  assert.is(ran.code, 0, ran.stderr);
  assert.equal(rows(jsonOf<Resolved>(ran).state), current);
  for (const id of Object.keys(rejected)) assert.match(ran.stderr, `${id}: rejected`);
  const text = place.run(['resolve', '--room-version', '11', '--events', '-'], events).stdout;
  assert.match(text, /root [0-9a-f]{64}/);
});

test('wrong usage ends with 2, files that cannot be right with 3, both with a code and nothing on stdout', () => {
  writeFileSync(place.file('empty.json'), '[]');
  writeFileSync(place.file('broken.json'), '[{"type": ');
  writeFileSync(place.file('ids.json'), '["$nothing"]');
  const version = ['--room-version', '10'];
  const cases: Array<readonly [code: number, says: string, args: readonly string[]]> = [
    [2, 'CLI_USAGE', ['--events', 'empty.json']],
    [2, 'CLI_USAGE', version],
    [2, 'CLI_USAGE', ['--room-version', '13', '--events', 'empty.json']],
    [2, 'CLI_USAGE', [...version, '--events', '-', '--state', '-']],
    [2, 'unknown option', [...version, '--event', 'empty.json']],
    [3, 'CLI_FILE_UNREADABLE', [...version, '--events', 'gone.json']],
    [3, 'CLI_FILE_UNREADABLE', [...version, '--events', 'broken.json']],
    [3, 'READER_STATE_SET_INVALID', [...version, '--events', 'empty.json', '--state', 'ids.json']],
    [3, 'READER_EVENTS_INVALID', [...version, '--events', 'ids.json']],
  ];
  for (const [code, says, args] of cases) {
    const ran = place.run(['resolve', ...args, '--json']);
    assert.is(ran.code, code, args.join(' '));
    assert.match(ran.stderr, says);
    assert.is(ran.stdout, '', args.join(' '));
  }
  assert.equal(
    jsonOf<Resolved>(place.run(['resolve', ...version, '--events', 'empty.json', '--json'])).state,
    [],
  );
});

test.run();
