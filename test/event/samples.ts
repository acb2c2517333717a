// Events of every room version to change and break in tests.

import { contentHash } from '../../src/event/hash.js';
import type { EventId, RoomId, ServerName, UserId } from '../../src/event/ids.js';
import type { JsonObject } from '../../src/event/json.js';
import { buildEvent, type EventTemplate } from '../../src/event/build.js';
import type { Pdu } from '../../src/event/pdu.js';
import { rulesOf, type RoomVersionRules } from '../../src/event/rules.js';
import { createSigningKey, type SigningKey } from '../../src/event/signing.js';
import { fromBase64, toBase64 } from '../../src/lib/base64.js';
import { StateroomError } from '../../src/lib/errors.js';

export const server = 'domain' as ServerName;
export const sender = '@a:domain' as UserId;

/** The key of the specification's test vectors. */
export const key: SigningKey = createSigningKey(
  'ed25519:1',
  fromBase64('YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1') ?? new Uint8Array(),
);

export function keys(name: string, keyId: string): Uint8Array | undefined {
  return name === server && keyId === key.keyId ? key.publicKey : undefined;
}

/** The record of a version that the test knows to exist. */
export function rulesFor(version: string): RoomVersionRules {
  const rules = rulesOf(version);
  if (rules === undefined) throw new Error(`no room version ${version}`);
  return rules;
}

/** An event id of the version's form. */
export function someId(rules: RoomVersionRules, name = 'x'): EventId {
  return (rules.eventIdFormat === 'field' ? `$${name}:domain` : `$${name.padEnd(43, 'A')}`) as EventId;
}

/** A room id of the version's form. */
export function someRoom(rules: RoomVersionRules): RoomId {
  return (rules.roomIdIsCreateHash ? `!${'r'.padEnd(43, 'A')}` : '!r:domain') as RoomId;
}

/** A signed message event of the version, with what the test wants otherwise. */
export function sample(rules: RoomVersionRules, changes: Partial<EventTemplate> = {}): Pdu {
  const template: EventTemplate = {
    type: 'm.room.message',
    sender,
    roomId: someRoom(rules),
    content: { body: 'hello', msgtype: 'm.text' },
    prevEvents: [someId(rules, 'p')],
    authEvents: [someId(rules, 'a'), someId(rules, 'b')],
    depth: 7,
    originServerTs: 1_700_000_000_000,
    ...(rules.eventIdFormat === 'field' ? { eventId: someId(rules, 'e') } : {}),
    ...changes,
  };
  return buildEvent(template, { rules, server, key });
}

/** The same JSON with keys set, or removed by undefined; its content hash made anew, its signatures left. */
export function altered(
  json: JsonObject,
  rules: RoomVersionRules,
  changes: Record<string, JsonObject[string] | undefined>,
): JsonObject {
  const kept = Object.entries({ ...json, ...changes }).filter(
    (entry): entry is [string, JsonObject[string]] => entry[1] !== undefined,
  );
  const changed: JsonObject = Object.fromEntries(kept);
  return 'hashes' in changes
    ? changed
    : { ...changed, hashes: { sha256: toBase64(contentHash(changed, rules)) } };
}

/** The stable code of what the function throws; anything else than a StateroomError is passed on. */
export function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof StateroomError) return error.code;
    throw error;
  }
  return 'nothing was thrown';
}
