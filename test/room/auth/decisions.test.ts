// Decisions that Synapse made, on random rooms and on real ones: ours must be the same.

import { existsSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { createIdOfRoom, type EventId } from '../../../src/event/ids.js';
import { isObject, own, parseJson, type JsonObject } from '../../../src/event/json.js';
import { parsePdu } from '../../../src/event/parse.js';
import type { Pdu } from '../../../src/event/pdu.js';
import { authStateOf, checkAuthEvents } from '../../../src/room/auth/auth-events.js';
import { authorise } from '../../../src/room/auth/authorise.js';
import { rulesFor } from './helpers.js';

const fixtures = new URL('../../../../test/fixtures/', import.meta.url);

const ROOMS = ['small-v11', 'forks-v10', 'forks-v12', 'reset-v10', 'rejects-v11', 'old-v1', 'crowd-v11'];

interface RandomRoom {
  readonly name: string;
  readonly room_version: string;
  readonly events: ReadonlyArray<JsonObject & { readonly event_id: string }>;
}

const decisions = suite('auth decisions');

decisions('every decision of the random rooms is what Synapse decided', () => {
  const rooms = new Map<string, RandomRoom>();
  for (const room of readLines<RandomRoom>('state-resolution/random.jsonl')) rooms.set(room.name, room);

  let heard = 0;
  let allowed = 0;
  const different: string[] = [];
  for (const { name, checks } of readLines<{ name: string; checks: Record<string, boolean> }>(
    'auth-decisions/random.jsonl',
  )) {
    const room = rooms.get(name);
    assert.ok(room, `no room ${name}`);
    const byId = parseAll(
      room.events,
      room.events.map(({ event_id }) => event_id),
      room.room_version,
    );
    for (const [ids, expected] of Object.entries(checks)) {
      const [event, ...authEvents] = ids.split(' ').map((id) => eventOf(byId, id));
      assert.ok(event);
      const verdict = authorise(event, authStateOf(authEvents));
      if (verdict.allowed !== expected) different.push(`${name} ${ids}: ${verdict.rule} ${verdict.reason}`);
      heard++;
      if (verdict.allowed) allowed++;
    }
  }
  assert.equal(different, []);
  assert.is(heard, 7145);
  assert.ok(allowed > 1000 && allowed < heard - 1000, `${allowed} of ${heard} allowed`);
});

decisions('every event of the random rooms cites what it may cite', () => {
  for (const room of readLines<RandomRoom>('state-resolution/random.jsonl')) {
    const byId = parseAll(
      room.events,
      room.events.map(({ event_id }) => event_id),
      room.room_version,
    );
    for (const event of byId.values()) {
      const verdict = checkAuthEvents(
        event,
        event.authEvents.map((id) => eventOf(byId, id)),
        () => false,
      );
      assert.ok(verdict.allowed, `${room.name} ${event.eventId}: ${verdict.rule} ${verdict.reason}`);
    }
  }
});

for (const name of ROOMS) {
  decisions(`the events rejected in the real room ${name} are those that Synapse rejected`, () => {
    const expected = JSON.parse(read(`rooms/${name}/expected.json`).toString()) as {
      readonly room_version: string;
      readonly event_ids: readonly string[];
      readonly rejected_a: Readonly<Record<string, string>> | readonly string[];
    };
    const lines = read(`rooms/${name}/events.jsonl`).toString().trimEnd().split('\n');
    const byId = parseAll(
      lines.map((line) => parseObject(line)),
      expected.event_ids,
      expected.room_version,
    );

    const rejected = new Set<string>();
    for (const event of topological(byId)) {
      const cited = event.authEvents.map((id) => eventOf(byId, id));
      const verdict = checkAuthEvents(event, cited, (id) => rejected.has(id));
      const implied = event.rules.authorisation.createIsImplied
        ? byId.get(createIdOfRoom(event.roomId))
        : undefined;
      const state = authStateOf(implied === undefined ? cited : [implied, ...cited]);
      if (!verdict.allowed || !authorise(event, state).allowed) rejected.add(event.eventId);
    }
    const theirs = Array.isArray(expected.rejected_a)
      ? expected.rejected_a
      : Object.keys(expected.rejected_a);
    assert.equal([...rejected].sort(), [...theirs].sort());
  });
}

decisions.run();

/** A fixture, which may lie there gzipped. */
function read(path: string): Buffer {
  const url = new URL(path, fixtures);
  return existsSync(url) ? readFileSync(url) : gunzipSync(readFileSync(new URL(`${path}.gz`, fixtures)));
}

function readLines<Line>(path: string): Line[] {
  const lines = read(path).toString().trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as Line);
}

function parseObject(text: string): JsonObject {
  const json = parseJson(Buffer.from(text));
  assert.ok(isObject(json));
  return json;
}

function parseAll(events: readonly JsonObject[], ids: readonly string[], version: string): Map<string, Pdu> {
  const rules = rulesFor(version);
  const parsed = new Map<string, Pdu>();
  for (const [index, json] of events.entries()) {
    const id = ids[index];
    assert.ok(id !== undefined && typeof own(json, 'type') === 'string');
    parsed.set(id, parsePdu(json, rules, { trustedId: id as EventId }));
  }
  return parsed;
}

function eventOf(byId: ReadonlyMap<string, Pdu>, id: string): Pdu {
  const event = byId.get(id);
  assert.ok(event, `no event ${id}`);
  return event;
}

/** Auth events before those that cite them. */
function topological(byId: ReadonlyMap<string, Pdu>): Pdu[] {
  const sorted = new Set<Pdu>();
  const visit = (event: Pdu): void => {
    if (sorted.has(event)) return;
    for (const id of event.authEvents) visit(eventOf(byId, id));
    sorted.add(event);
  };
  for (const event of byId.values()) visit(event);
  return [...sorted];
}
