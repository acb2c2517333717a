// Takes in events without a place in the graph: states and auth chains that were fetched. Each is verified like
// any other, and only once all that it cites is known, so that none is put aside to wait for what nobody has.

import type { Verdict } from '../../core/outcome.js';
import type { Engine } from '../../engine/engine.js';
import { createIdOfRoom, type EventId, type ServerName } from '../../event/ids.js';
import type { JsonObject } from '../../event/json.js';
import type { Pdu } from '../../event/pdu.js';
import type { KeyRing } from '../identity/key-ring.js';
import type { FederationLog } from '../parts.js';
import type { Effort } from './effort.js';
import { bytesOf, ranks, signedPart } from './fetched-events.js';
import type { FetchObserver } from './fetch-observer.js';

export interface OutlierParts {
  readonly engine: Engine;
  readonly keyRing: Pick<KeyRing, 'fetchFor'>;
  readonly log: FederationLog;
  /** Is the event one that must not be taken in again, whoever gives it? */
  readonly isGivenUp: (eventId: EventId) => boolean;
  readonly observer?: FetchObserver;
}

/** What is there afterwards. */
export interface TakenOutliers {
  /** Those that were refused for what they are: asking for them again would not help. */
  readonly dropped: ReadonlySet<EventId>;
  /** Ids that events among them cite and that nobody gave. */
  readonly uncited: ReadonlySet<EventId>;
}

/** Events that are handed over at once. */
const TURN_EVENTS = 250;

/**
 * Takes in what is good of a whole state and its auth chain, in the fewest turns.
 * @param wanted what is not known
 * @returns what of it was not taken
 */
export async function takeWhole(
  { engine, keyRing, isGivenUp, observer }: OutlierParts,
  effort: Effort,
  { roomId, rules }: Pick<Pdu, 'roomId' | 'rules'>,
  jsons: readonly JsonObject[],
  wanted: ReadonlySet<EventId>,
  from: ServerName,
): Promise<ReadonlySet<EventId>> {
  await keyRing.fetchFor(jsons, rules);
  let granted = effort.takeEvents(wanted.size);
  const taken = await engine.receiveOutliers({
    roomId,
    roomVersion: rules.version,
    events: jsons.map(signedPart),
    from,
    isWanted: (id) => wanted.has(id) && !isGivenUp(id) && granted-- > 0,
    onStored: (events) => observer?.taken(events),
  });
  return new Set([...wanted].filter((id) => !taken.has(id)));
}

export async function takeOutliers(
  { engine, keyRing, log, isGivenUp, observer }: OutlierParts,
  effort: Effort,
  events: ReadonlyMap<EventId, Pdu>,
  from: ServerName,
): Promise<TakenOutliers> {
  const isKnown = (id: EventId): boolean => engine.graph.isKnown(id);
  const news = new Map([...events].filter(([id]) => !isKnown(id) && !isGivenUp(id)));
  const dropped = new Set([...events.keys()].filter(isGivenUp));
  const uncited = new Set<EventId>();
  for (const event of news.values()) {
    for (const id of citedBy(event)) if (!isKnown(id) && !news.has(id)) uncited.add(id);
  }
  const [first] = news.values();
  if (first === undefined) return { dropped, uncited };
  await keyRing.fetchFor(
    Array.from(news.values(), ({ json }) => json),
    first.rules,
  );
  for (const rank of ranks(news, citedBy, isKnown)) {
    const ready = rank.filter((event) => {
      const isReady = citedBy(event).every(isKnown);
      if (!isReady) dropped.add(event.eventId);
      return isReady;
    });
    const granted = ready.slice(0, effort.takeEvents(ready.length));
    const verdicts = await receiveInTurns(engine, granted, from, observer);
    for (const { verdict, eventId, code, reason } of verdicts) {
      if (verdict !== 'dropped' || eventId === undefined) continue;
      dropped.add(eventId);
      log.info(
        { room: effort.roomId, event: eventId, from, code, reason },
        'an event of a state was refused',
      );
    }
    // A verdict without an id is one of form: whoever is not known now was refused.
    for (const { eventId } of granted) if (!isKnown(eventId)) dropped.add(eventId);
    if (granted.length < ready.length) break;
  }
  return { dropped, uncited };
}

/** Hands events over, some at a time: a large state neither fills the memory nor holds up everybody else. */
async function receiveInTurns(
  engine: Engine,
  events: readonly Pdu[],
  from: ServerName,
  observer: FetchObserver | undefined,
): Promise<readonly Verdict[]> {
  const verdicts: Verdict[] = [];
  for (let at = 0; at < events.length; at += TURN_EVENTS) {
    const turn = events.slice(at, at + TURN_EVENTS).map((event) => {
      const { version: roomVersion } = event.rules;
      return engine.receive(bytesOf(event), { from, asOutlier: true, roomVersion });
    });
    const came = await Promise.all(turn);
    observer?.taken(came.filter(({ verdict }) => verdict === 'accepted' || verdict === 'rejected').length);
    verdicts.push(...came);
  }
  return verdicts;
}

/** What an event cites; from version 12 its room's create event too. */
export function citedBy({ rules, roomId, type, authEvents }: Pdu): readonly EventId[] {
  if (!rules.authorisation.createIsImplied || type === 'm.room.create') return authEvents;
  return [...authEvents, createIdOfRoom(roomId)];
}
