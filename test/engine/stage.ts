// A room of Alice's with Mallory in it, whose server signs what she likes, and ways to hand that in.

import * as assert from 'uvu/assert';
import { VERDICT_CODES, type Verdict } from '../../src/core/outcome.js';
import { canonicalJson } from '../../src/event/canonical.js';
import type { JsonObject, JsonValue } from '../../src/event/json.js';
import type { Pdu } from '../../src/event/pdu.js';
import type { RoomVersionRules } from '../../src/event/rules.js';
import { signEvent } from '../../src/event/signing.js';
import type { EngineOptions } from '../../src/engine/engine.js';
import { errorCodes } from '../../src/lib/errors.js';
import { keyOf, SERVERS } from '../simulator/cast.js';
import { type Draft, openServers, type TestServer } from '../simulator/test-server.js';

export const alice = '@alice:alpha.test';
export const mallory = '@mallory:beta.test';
export const MEGABYTE = 1024 * 1024;

export interface Stage {
  /** Whom the input is given to. */
  readonly server: TestServer;
  /** Mallory's server, which signs what she likes. */
  readonly evil: TestServer;
  readonly create: Pdu;
  readonly levels: Pdu;
  readonly join: Pdu;
}

/** A room of Alice, Mallory in it. */
export async function stage(rules: RoomVersionRules, options: EngineOptions = {}): Promise<Stage> {
  const [server, evil] = await openServers(SERVERS.slice(0, 2), rules, options);
  if (server === undefined || evil === undefined) throw new Error('two servers were asked for');
  const both = async (event: Pdu): Promise<Pdu> => {
    for (const each of [server, evil]) await each.receive(event);
    return event;
  };
  const state = (sender: string, type: string, stateKey: string, content: JsonObject): Draft => ({
    type,
    sender,
    stateKey,
    content,
  });
  const users = rules.authorisation.creatorsArePrivileged ? {} : { [alice]: 100 };
  const create = await both(await server.found(alice));
  await both(await server.send(state(alice, 'm.room.member', alice, { membership: 'join' })));
  const levels = await both(
    await server.send(
      state(alice, 'm.room.power_levels', '', { users, state_default: 0, events: { x: 10 } }),
    ),
  );
  await both(await server.send(state(alice, 'm.room.join_rules', '', { join_rule: 'public' })));
  const join = await both(await evil.send(state(mallory, 'm.room.member', mallory, { membership: 'join' })));
  return { server, evil, create, levels, join };
}

export async function leave({ server, evil }: Stage): Promise<void> {
  await server.engine.close();
  await evil.engine.close();
}

export const note = (more: Partial<Draft> = {}): Draft => ({
  type: 'x.note',
  sender: mallory,
  stateKey: '',
  content: { body: 'hm' },
  ...more,
});

/** JSON that Mallory's server signed, whatever its form. */
export function signed({ evil }: Stage, json: JsonObject): string {
  return canonicalJson(signEvent(json, evil.rules, evil.name, keyOf(evil.name)), evil.rules);
}

/** A note as JSON, with fields changed, or left out by undefined; signed anew. */
export function forged(at: Stage, changes: Readonly<Record<string, JsonValue | undefined>>): string {
  const { signatures: _, hashes: __, ...json } = at.evil.build(note()).json;
  const entries = Object.entries({ ...json, ...changes });
  const kept = entries.filter((entry): entry is [string, JsonValue] => entry[1] !== undefined);
  return signed(at, Object.fromEntries(kept));
}

const KNOWN_CODES = new Set([...Object.keys(VERDICT_CODES), ...errorCodes().map(([code]) => code)]);

/** Hands it in; whatever it is, the answer has a form. */
export async function give({ server }: Stage, input: string | Uint8Array | JsonObject): Promise<Verdict> {
  const verdict = await server.engine.receive(input, {
    from: 'beta.test',
    roomVersion: server.rules.version,
  });
  assert.ok(KNOWN_CODES.has(verdict.code), `${verdict.code} is a known code`);
  assert.is(verdict.code === 'OK', verdict.verdict === 'accepted');
  assert.is(verdict.reason === '', verdict.verdict === 'accepted', `a reason: ${verdict.reason}`);
  assert.ok(verdict.reason.length < 1_000, 'the reason is short, whatever was quoted in it');
  return verdict;
}

export async function answer(at: Stage, input: string | Uint8Array | JsonObject): Promise<string> {
  const { verdict, code } = await give(at, input);
  await at.server.engine.core.idle();
  return `${verdict} ${code}`;
}

/** The room goes on: Alice says something, and nothing but that has changed. */
export async function checkAlive({ server }: Stage, root: string): Promise<void> {
  assert.is(server.engine.currentState(server.roomId).root, root, 'the current state is as before');
  await server.send({ type: 'm.room.message', sender: alice, content: { body: 'still here' } });
}
