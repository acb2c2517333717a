// Account data in an answer: what differs in the user's internal room since the token, by room.
//
// Source: client-server API, "Client Config".

import { accountDataOf } from '../../account/account-data.js';
import { changesSince } from '../../account/changes.js';
import { userRoom } from '../../account/parts.js';
import { PUSH_RULES } from '../../account/push-rules.js';
import type { RoomId } from '../../event/ids.js';
import type { JsonObject } from '../../event/json.js';
import type { SyncContext } from './context.js';

const PUSH_RULES_TYPE = 'm.push_rules';

export interface AccountDataEvents {
  readonly global: readonly JsonObject[];
  /** What is new of a room that the client has. */
  readonly ofRoom: (roomId: RoomId) => readonly JsonObject[];
  /** All of a room that is new to the client. */
  readonly allOfRoom: (roomId: RoomId) => readonly JsonObject[];
}

type AccountDataJson = JsonObject & { readonly type: string };
type ByRoom = Map<RoomId, AccountDataJson[]>;

export async function accountDataEvents(context: SyncContext): Promise<AccountDataEvents> {
  const { since, filter } = context;
  let all: ByRoom | undefined;
  const allOfRoom = (roomId: RoomId): readonly JsonObject[] =>
    (all ??= everything(context)).get(roomId) ?? [];
  const changes = since === undefined ? undefined : await changed(context, since.seq);
  const global = changes?.global ?? allGlobal(context);
  return {
    global: global.filter(({ type }) => filter.accountData.allowsType(type)),
    ofRoom: changes === undefined ? allOfRoom : (roomId) => changes.byRoom.get(roomId) ?? [],
    allOfRoom,
  };
}

function allGlobal({ home, requester: { userId } }: SyncContext): AccountDataJson[] {
  const { accountData, pushRules } = home.accounts;
  const events: AccountDataJson[] = [{ type: PUSH_RULES_TYPE, content: pushRules.content(userId) }];
  for (const { type, content } of accountData.global(userId)) events.push({ type, content });
  return events;
}

function everything(context: SyncContext): ByRoom {
  const byRoom: ByRoom = new Map();
  const { accountData } = context.home.accounts;
  for (const { roomId, type, content } of accountData.ofRooms(context.requester.userId)) {
    add(context, byRoom, roomId, { type, content });
  }
  return byRoom;
}

/** What was taken away is told as empty. */
async function changed(
  context: SyncContext,
  since: number,
): Promise<{ readonly global: readonly AccountDataJson[]; readonly byRoom: ByRoom }> {
  const { home, requester, to } = context;
  const { engine, notifier, accounts } = home;
  const global: AccountDataJson[] = [];
  const byRoom: ByRoom = new Map();
  const internalId = userRoom(requester.userId);
  const room = notifier.moments.newestSeq(internalId) > since ? engine.store.room(internalId) : undefined;
  if (room === undefined) return { global, byRoom };
  const before = await notifier.moments.stateAt(room, since);
  const now = await notifier.moments.stateAt(room, to.seq);
  for (const { type: recordType, stateKey, after } of changesSince(before, now)) {
    if (recordType === PUSH_RULES) {
      global.push({ type: PUSH_RULES_TYPE, content: accounts.pushRules.content(requester.userId) });
    }
    const key = accountDataOf(recordType, stateKey);
    if (key === undefined) continue;
    const content = after === undefined ? {} : (engine.reader.events.pdu(after)?.content ?? {});
    const event = { type: key.type, content };
    if (key.roomId === undefined) global.push(event);
    else add(context, byRoom, key.roomId, event);
  }
  return { global, byRoom };
}

function add({ filter }: SyncContext, byRoom: ByRoom, roomId: RoomId, event: AccountDataJson): void {
  const { roomAccountData } = filter;
  if (!roomAccountData.allowsRoom(roomId) || !roomAccountData.allowsType(event.type)) return;
  const events = byRoom.get(roomId);
  if (events === undefined) byRoom.set(roomId, [event]);
  else events.push(event);
}
