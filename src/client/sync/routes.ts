// GET /sync: what happened since the client asked last; with a timeout, once something has.
//
// Source: client-server API, "Syncing".

import type { JsonObject } from '../../event/json.js';
import { invalidParam } from '../errors.js';
import type { Homeserver } from '../homeserver.js';
import { queryInteger, queryText, queryWord } from '../request-fields.js';
import type { AuthenticatedRequest, ClientRequest, Requester, Route } from '../route.js';
import { makeAnswer } from './answer.js';
import type { StateAfterKeys, SyncContext } from './context.js';
import { acknowledge } from './device-news.js';
import { filterOf, type SyncFilter } from './filter.js';
import { LongPoll } from './long-poll.js';
import { parseToken, type SyncToken } from './token.js';
import type { NamedRules } from './unread.js';

/** What a request asks, the same however often it is looked after. */
interface Asked {
  readonly filter: SyncFilter;
  readonly since: SyncToken | undefined;
  readonly isFullState: boolean;
  readonly stateAfterKeys: StateAfterKeys;
  readonly timeoutMs: number;
}

async function sync(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  const asked = read(request, home);
  const { user } = request;
  const { userId } = user;
  const presence =
    queryWord(request, 'set_presence', ['online', 'offline', 'unavailable'] as const) ?? 'online';
  if (asked.since !== undefined) await acknowledge(home, user, asked.since);
  const endPoll = home.ephemeral.poll(userId, presence);
  // It listens before it looks, so that nothing that comes while it looks is slept over.
  const listener = home.notifier.listen(userId);
  const isPatient = asked.since !== undefined && !asked.isFullState;
  const poll = new LongPoll({
    listener,
    deadline: performance.now() + (isPatient ? asked.timeoutMs : 0),
    look: async () => makeAnswer(await contextOf(user, home, asked)),
    signal: () => request.signal,
    end: () => {
      listener.close();
      endPoll();
    },
  });
  return poll.answer();
}

async function contextOf(user: Requester, home: Homeserver, asked: Asked): Promise<SyncContext> {
  const { ephemeral, notifier, accounts, engine } = home;
  const seq = engine.watermark;
  await notifier.reached(seq);
  const { since } = asked;
  ephemeral.sweep();
  let rules: NamedRules | undefined;
  return {
    home,
    requester: user,
    filter: asked.filter,
    since,
    positionSince: since?.epoch === ephemeral.epoch ? since.position : 0,
    to: { seq, toDeviceSeq: seq, position: ephemeral.position, epoch: ephemeral.epoch },
    isFullState: asked.isFullState,
    stateAfterKeys: asked.stateAfterKeys,
    ignored: accounts.accountData.ignoredUsers(user.userId),
    rules: () => (rules ??= notifier.unread.rulesOf(user.userId)),
  };
}

function read(request: AuthenticatedRequest, home: Homeserver): Asked {
  const since = queryText(request, 'since');
  return {
    filter: filterOf(home, request.user.userId, queryText(request, 'filter')),
    since: since === undefined || since === '' ? undefined : parseToken(since, home.engine.watermark),
    isFullState: queryFlag(request, 'full_state'),
    stateAfterKeys: [
      ...(queryFlag(request, 'use_state_after') ? (['state_after'] as const) : []),
      ...(queryFlag(request, 'org.matrix.msc4222.use_state_after')
        ? (['org.matrix.msc4222.state_after'] as const)
        : []),
    ],
    timeoutMs: queryInteger(request, 'timeout', { max: home.options.syncTimeoutMsMax }) ?? 0,
  };
}

function queryFlag(request: ClientRequest, name: string): boolean {
  const text = queryText(request, name);
  if (text === undefined || text === 'false') return false;
  if (text === 'true') return true;
  throw invalidParam(`${name} is true or false.`);
}

export const syncRoutes: readonly Route[] = [
  { method: 'GET', path: '/_matrix/client/v3/sync', auth: 'user', rateLimit: 'none', handler: sync },
];
