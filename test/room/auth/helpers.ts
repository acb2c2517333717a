// A small room to hear cases in: members, levels and rules as a test needs them; no hashes, no signatures.

import type { EventId, RoomId, UserId } from '../../../src/event/ids.js';
import type { JsonObject, JsonValue } from '../../../src/event/json.js';
import type { Pdu } from '../../../src/event/pdu.js';
import { rulesOf, type RoomVersionRules } from '../../../src/event/rules.js';
import { authStateOf } from '../../../src/room/auth/auth-events.js';
import { authorise } from '../../../src/room/auth/authorise.js';
import type { AuthVerdict } from '../../../src/room/auth/verdict.js';

export const ALICE = '@alice:a.example';
export const BOB = '@bob:b.example';
export const CAROL = '@carol:c.example';

export function rulesFor(version: string): RoomVersionRules {
  const rules = rulesOf(version);
  if (rules === undefined) throw new Error(`no room version ${version}`);
  return rules;
}

export interface Draft {
  readonly type: string;
  readonly sender?: string;
  readonly stateKey?: string;
  readonly content?: JsonObject;
  readonly prevEvents?: readonly string[];
  readonly authEvents?: readonly string[];
  readonly eventId?: string;
  readonly roomId?: string;
  readonly json?: JsonObject;
}

let made = 0;

/** An event of a version, by Alice where nobody is named. */
export function event(version: string, draft: Draft): Pdu {
  made++;
  const rules = rulesFor(version);
  const eventId = draft.eventId ?? (rules.eventIdFormat === 'field' ? `$e${made}:a.example` : `$e${made}`);
  const content = draft.content ?? {};
  return {
    rules,
    eventId: eventId as EventId,
    roomId: (draft.roomId ?? roomOf(version)) as RoomId,
    type: draft.type,
    stateKey: draft.stateKey,
    sender: (draft.sender ?? ALICE) as UserId,
    content,
    prevEvents: (draft.prevEvents ?? ['$previous']) as EventId[],
    authEvents: (draft.authEvents ?? []) as EventId[],
    depth: 1,
    originServerTs: 1,
    redacts: undefined,
    json: draft.json ?? { content },
  };
}

function roomOf(version: string): string {
  return rulesFor(version).roomIdIsCreateHash ? '!create' : '!room:a.example';
}

export interface RoomDraft {
  readonly create?: JsonObject;
  readonly members?: Readonly<Record<string, JsonValue>>;
  /** Content of the power levels event; absent for a room without one. */
  readonly levels?: JsonObject;
  readonly joinRule?: JsonValue;
  readonly more?: readonly Pdu[];
}

/** The state of a room that Alice created and joined. */
export function room(version: string, draft: RoomDraft = {}): Pdu[] {
  const { creatorIsInContent } = rulesFor(version).authorisation;
  const content = {
    room_version: version,
    ...(creatorIsInContent ? { creator: ALICE } : {}),
    ...draft.create,
  };
  const events = [
    event(version, { type: 'm.room.create', stateKey: '', content, prevEvents: [], eventId: '$create' }),
  ];
  for (const [user, membership] of Object.entries({ [ALICE]: 'join', ...draft.members })) {
    events.push(
      event(version, { type: 'm.room.member', sender: user, stateKey: user, content: { membership } }),
    );
  }
  if (draft.levels !== undefined) {
    events.push(event(version, { type: 'm.room.power_levels', stateKey: '', content: draft.levels }));
  }
  if (draft.joinRule !== undefined) {
    const content = { join_rule: draft.joinRule };
    events.push(event(version, { type: 'm.room.join_rules', stateKey: '', content }));
  }
  return [...events, ...(draft.more ?? [])];
}

export function hear(version: string, state: readonly Pdu[], draft: Draft): AuthVerdict {
  return authorise(event(version, draft), authStateOf(state));
}

/** A membership event's draft. */
export function member(sender: string, target: string, membership: JsonValue, more: JsonObject = {}): Draft {
  return { type: 'm.room.member', sender, stateKey: target, content: { membership, ...more } };
}

/** `allowed by 5.2.4` or `rejected by 5.2.6`. */
export function outcome(verdict: AuthVerdict): string {
  return `${verdict.allowed ? 'allowed' : 'rejected'} by ${verdict.rule}`;
}

/**
 * Hears the same case in every version of the ranges and compares: `{ '1-5': 'allowed by 5.2.5' }`.
 * The numbers are those of the specification's lists, written out by hand.
 */
export function expectIn(
  ranges: Readonly<Record<string, string>>,
  hearIn: (version: string) => AuthVerdict,
): void {
  for (const [range, expected] of Object.entries(ranges)) {
    const [first = '', last = first] = range.split('-');
    for (let version = Number(first); version <= Number(last); version++) {
      const verdict = hearIn(String(version));
      const found = `version ${version}: ${outcome(verdict)}`;
      if (found !== `version ${version}: ${expected}`) throw new Error(`${found}, not ${expected}`);
      if (verdict.roomVersion !== String(version))
        throw new Error(`${found}, but says version ${verdict.roomVersion}`);
    }
  }
}
