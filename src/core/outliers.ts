// Many outliers of a room at once: the state and auth chain of a join, or of a state that another server gives.
//
//   read and verify (threads) ─ order by auth_events ─ decided in turns of the room, each one commit group or less
//
// Source: server-server API, "Checks performed on receipt of a PDU".

import type { EventId, RoomId } from '../event/ids.js';
import { type RoomVersionRules, rulesOf } from '../event/rules.js';
import { type KnownEvents, pduOfRow } from '../room/graph/known-events.js';
import { authOrder } from './auth-order.js';
import type { Decider, Settle } from './decider.js';
import { type AnswerEvent, DroppedEvents, type PduStream, readAnswer } from './join-answer.js';
import type { VerifiedEvent } from './judge.js';
import type { Verdict } from './outcome.js';
import type { Verifier } from './verifier.js';

/** State events of a room that is known, and what they rest on. The keys that they need were fetched before. */
export interface OutlierBatch {
  readonly roomId: RoomId;
  readonly roomVersion: string;
  readonly events: PduStream;
  /** Who gave them. */
  readonly from: string;
  /** Others are left out. */
  readonly isWanted: (eventId: EventId) => boolean;
  /** Told of events that were stored, as that goes on. */
  readonly onStored?: (events: number) => void;
}

export interface OutlierParts {
  readonly known: KnownEvents;
  readonly verifier: Verifier;
  readonly decider: Decider;
  readonly now: () => number;
  /** Does work in the room's turn. */
  readonly inTurn: <Result>(roomId: RoomId, work: (settle: Settle<Result>) => void) => Promise<Result>;
}

/** The room that outliers are stored in. */
interface OutlierRoom {
  readonly roomId: RoomId;
  readonly rules: RoomVersionRules;
  readonly from: string;
}

/** Outliers decided in one turn, and such turns whose commit is not waited for. */
const TURN_EVENTS = 250;
const TURNS_AHEAD = 4;

/**
 * Stores what is good of a batch and cites nothing unknown.
 * @returns the events that are known now, those that are rejected among them
 * @throws CORE_JOIN_REFUSED when they are too many; STORE_WRITE_FAILED, CORE_CLOSED
 */
export async function takeOutliers(
  parts: OutlierParts,
  { roomId, roomVersion, events, from, isWanted, onStored }: OutlierBatch,
): Promise<ReadonlySet<EventId>> {
  const taken = new Set<EventId>();
  const rules = rulesOf(roomVersion);
  if (rules?.isInternal !== false) return taken;
  const { verifier, known } = parts;
  const isKnown = (id: EventId): boolean => known.has(id);
  const dropped = new DroppedEvents();
  const answer = await readAnswer({ verifier, rules, roomId, isKnown, dropped }, events, []);
  const wanted = new Map([...answer.events].filter(([id]) => isWanted(id)));
  const { sorted } = authOrder(wanted, isKnown);
  const isNews = (): boolean => true;
  await storeOutliers(parts, { roomId, rules, from }, sorted, isNews, ({ pdu }, { verdict }) => {
    const isStored = verdict === 'accepted' || verdict === 'rejected';
    if (isStored || verdict === 'duplicate') taken.add(pdu.eventId);
    if (isStored) onStored?.(1);
  });
  return taken;
}

/**
 * Stores verified events, those that they cite before them, some in each turn of the room.
 * @param isNews asked in the event's turn: is it to be stored?
 * @param onVerdict what became of each, in order within a turn
 */
export async function storeOutliers(
  { decider, inTurn, now }: OutlierParts,
  room: OutlierRoom,
  events: readonly AnswerEvent[],
  isNews: (event: AnswerEvent) => boolean,
  onVerdict: (event: VerifiedEvent, verdict: Verdict) => void,
): Promise<void> {
  const turns: Promise<void>[] = [];
  const storeTurn = async (turn: readonly AnswerEvent[]): Promise<void> => {
    const outliers = turn.map((event) => outlierOf(event, room, now()));
    const verdicts = await inTurn<readonly Verdict[]>(room.roomId, (settle) => {
      decider.decideAll(outliers, settle);
    });
    outliers.forEach((outlier, i) => {
      const verdict = verdicts[i];
      if (verdict !== undefined) onVerdict(outlier, verdict);
    });
  };
  for (let at = 0; at < events.length; at += TURN_EVENTS) {
    const stored = storeTurn(events.slice(at, at + TURN_EVENTS).filter(isNews));
    // Its fault is met where it is waited for.
    stored.catch(() => undefined);
    turns.push(stored);
    if (turns.length > TURNS_AHEAD) await turns.shift();
  }
  await Promise.all(turns);
}

function outlierOf(
  { eventId, bytes, isRedacted }: AnswerEvent,
  { roomId, rules, from }: OutlierRoom,
  receivedAt: number,
): VerifiedEvent {
  const row = { roomId, roomVersion: rules.version, eventId, isRedacted, bytes };
  return {
    pdu: pduOfRow(row),
    bytes,
    isRedacted,
    receivedFrom: from,
    receivedAt,
    asOutlier: true,
    givenState: undefined,
  };
}
