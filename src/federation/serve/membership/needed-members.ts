// The members without whom a server that was spared the others cannot work well: asked for by our own servers
// beside `omit_members`, with `org.stateroom.members=needed`, which others pass over.
//
//   auth      whose memberships are in the auth chain of the rest of the state, and of the join
//   bans      who is banned
//   kicks     who was put out, or whose invite or ban was taken back: leaves that another sent
//   invites   who is invited
//   power     whom the power levels name, and the creators
//   servers   of each server in the room, one who is joined
//
// Each kind is told whole or not at all, and the answer names those that are whole: where a room has too many of
// one, that one is left out; the servers are in `servers_in_room` all the same. Members are chosen by the tree;
// only leaves, and the auth chain that is told anyway, are read.
//
// Source: MSC2775, "Lazy loading over federation"; MSC3902.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Engine } from '../../../engine/engine.js';
import { type EventId, parseUserId, serverOf, type ServerName } from '../../../event/ids.js';
import { isArray, isObject, own, parseJson } from '../../../event/json.js';
import type { Pdu } from '../../../event/pdu.js';
import { stateEventAt } from '../../../reader/room-facts.js';
import type { StateView } from '../../../reader/state-view.js';
import { MEMBER_TYPE } from '../../../room/state/key.js';
import { servingOf } from '../serving.js';

/** The query parameter that asks for them, its value, and the name under which the answer tells the kinds. */
export const MEMBERS_PARAMETER = 'org.stateroom.members';
export const NEEDED = 'needed';

/** Members of one kind that are told. */
const OF_KIND_MAX = 1_000;
/** Lookups in a tree in one turn of the event loop. */
const LOOKUPS_IN_TURN = 200;

type Kind = 'auth' | 'bans' | 'kicks' | 'invites' | 'power' | 'servers';

export interface NeededMembers {
  /** Membership events of the state; each once. */
  readonly eventIds: ReadonlySet<EventId>;
  /** The kinds that are all among them. */
  readonly kinds: readonly Kind[];
}

/**
 * @param view the state before the join
 * @param chainSeqs the auth chain of the state without members, and of the join
 */
export async function neededMembers(
  engine: Engine,
  view: StateView,
  chainSeqs: readonly number[],
): Promise<NeededMembers> {
  const found = new Found(view);
  const { banned, putOut, invited } = await servingOf(engine).noted.of(view, OF_KIND_MAX);
  found.addEvents('bans', banned);
  found.addEvents('kicks', putOut);
  found.addEvents('invites', invited);
  await found.addUsers('auth', await usersIn(engine, chainSeqs));
  await found.addUsers('power', powerfulUsers(engine, view));
  await found.addServers(engine);
  return found;
}

class Found implements NeededMembers {
  readonly eventIds = new Set<EventId>();
  readonly kinds: Kind[] = [];
  readonly #view: StateView;
  /** Servers of joined members that were found. */
  readonly #servers = new Set<ServerName>();

  constructor(view: StateView) {
    this.#view = view;
  }

  addEvents(kind: Kind, eventIds: readonly EventId[] | undefined): void {
    if (eventIds === undefined) return;
    for (const eventId of eventIds) this.eventIds.add(eventId);
    this.kinds.push(kind);
  }

  /** The memberships that users have, if any. */
  async addUsers(kind: Kind, users: ReadonlySet<string>): Promise<void> {
    if (users.size > OF_KIND_MAX) return;
    const view = this.#view;
    const eventIds: EventId[] = [];
    let lookups = 0;
    for (const user of users) {
      const eventId = view.get(MEMBER_TYPE, user);
      if (eventId !== undefined) eventIds.push(eventId);
      const userId = parseUserId(user);
      if (userId !== undefined && view.membership(user) === 'join') this.#servers.add(serverOf(userId));
      if (++lookups % LOOKUPS_IN_TURN === 0) await nextTurn();
    }
    this.addEvents(kind, eventIds);
  }

  /** Somebody of each server of which nobody joined was found yet. */
  async addServers(engine: Engine): Promise<void> {
    const { members } = servingOf(engine);
    await members.prepare(this.#view);
    const users = new Set<string>();
    for (const [server, user] of members.of(this.#view).joinedUsers()) {
      if (!this.#servers.has(server)) users.add(user);
      if (users.size > OF_KIND_MAX) break;
    }
    await this.addUsers('servers', users);
  }
}

/** The users whose memberships are among these events, up to one more than are told. */
async function usersIn(engine: Engine, seqs: readonly number[]): Promise<ReadonlySet<string>> {
  const { row: rowOf } = servingOf(engine);
  const users = new Set<string>();
  let read = 0;
  for (const seq of seqs) {
    const row = rowOf(seq);
    const json = row === undefined ? undefined : parseJson(row.bytes);
    const user = isObject(json) && own(json, 'type') === MEMBER_TYPE ? own(json, 'state_key') : undefined;
    if (typeof user === 'string') users.add(user);
    if (users.size > OF_KIND_MAX) break;
    if (++read % LOOKUPS_IN_TURN === 0) await nextTurn();
  }
  return users;
}

/** Whom the power levels name, and who made the room. */
function powerfulUsers({ reader }: Engine, view: StateView): ReadonlySet<string> {
  const levels = stateEventAt(reader, view, 'm.room.power_levels');
  const users = levels === undefined ? undefined : own(levels.content, 'users');
  return new Set([
    ...creatorsOf(stateEventAt(reader, view, 'm.room.create')),
    ...(isObject(users) ? Object.keys(users) : []),
  ]);
}

function creatorsOf(create: Pdu | undefined): string[] {
  if (create === undefined) return [];
  const additional = own(create.content, 'additional_creators');
  const named = [own(create.content, 'creator'), ...(isArray(additional) ? additional : [])];
  return [create.sender, ...named.filter((user) => typeof user === 'string')];
}
