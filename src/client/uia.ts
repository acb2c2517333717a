// User-interactive authentication: an endpoint asks the client to show once more who it is, stage by stage.
//
// Source: client-server API, "User-Interactive Authentication API".

import { timingSafeEqual, createHash } from 'node:crypto';
import type { UserId } from '../event/ids.js';
import { isObject, type JsonObject, own } from '../event/json.js';
import { checkedPassword } from './checked-password.js';
import { badJson, MatrixError } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { bodyText } from './request-fields.js';
import type { AuthenticatedRequest } from './route.js';
import type { UiaSession } from './uia-sessions.js';

/** The stages that a client goes through, in order. */
export type Flow = readonly Stage[];
export type Stage = 'm.login.password' | 'm.login.dummy' | 'm.login.registration_token';

export const PASSWORD_FLOWS: readonly Flow[] = [['m.login.password']];

export interface UiaTask {
  readonly flows: readonly Flow[];
  /** What is to be done: endpoint and object. What was shown for one task counts for no other. */
  readonly purpose: string;
  /** Who must show their password; undefined where nobody is logged in yet. */
  readonly userId: UserId | undefined;
}

/**
 * Returns when the client has shown all that one of the flows asks for, which is then used up.
 * @throws MatrixError 401 with flows and session while something is missing
 */
export async function interactively(
  home: Homeserver,
  { body }: AuthenticatedRequest,
  task: UiaTask,
): Promise<void> {
  if (!hasAuth(body)) throw new Challenge(home.uiaSessions.begin(task.purpose), task, undefined);
  const auth = own(body, 'auth');
  if (!isObject(auth)) throw badJson('auth is an object.');
  const id = bodyText(auth, 'session');
  // Clients that know the flow send its only stage at once, without having asked for a session.
  const session =
    (id === undefined ? undefined : home.uiaSessions.find(id, task.purpose)) ??
    home.uiaSessions.begin(task.purpose);
  const stage = bodyText(auth, 'type');
  if (stage !== undefined && !session.completed.includes(stage)) {
    const refusal = await attempt(home, auth, stage, session, task);
    if (refusal !== undefined) throw new Challenge(session, task, refusal);
  }
  const isComplete = task.flows.some((flow) => flow.every((step) => session.completed.includes(step)));
  // A session that somebody else used up meanwhile is not there any more.
  if (!isComplete || home.uiaSessions.find(session.id, task.purpose) === undefined) {
    throw new Challenge(session, task, undefined);
  }
  home.uiaSessions.end(session);
}

/** Has the client begun to authenticate? Without it the request asks what there is to show. */
export function hasAuth(body: JsonObject): boolean {
  return (own(body, 'auth') ?? null) !== null;
}

/** Tries a stage that comes next in a flow, and notes it when it is done. @returns why it is not */
async function attempt(
  home: Homeserver,
  auth: JsonObject,
  stage: string,
  session: UiaSession,
  { flows, userId }: UiaTask,
): Promise<MatrixError | undefined> {
  const isNext = flows.some(
    (flow) =>
      flow[session.completed.length] === stage && session.completed.every((done, i) => flow[i] === done),
  );
  if (!isNext) return new MatrixError(401, 'M_UNRECOGNIZED', `${stage} is not what comes next.`);
  if (await isShown(home, auth, stage, userId)) {
    session.completed.push(stage);
    return undefined;
  }
  return new MatrixError(401, 'M_FORBIDDEN', `${stage} was not successful.`);
}

async function isShown(
  home: Homeserver,
  auth: JsonObject,
  stage: string,
  userId: UserId | undefined,
): Promise<boolean> {
  if (stage === 'm.login.dummy') return true;
  if (stage === 'm.login.registration_token') {
    return isRegistrationToken(home, bodyText(auth, 'token') ?? '');
  }
  const password = bodyText(auth, 'password') ?? '';
  const name = namedUser(auth);
  const user = await checkedPassword(home, name ?? userId ?? '', password);
  return user !== undefined && (userId === undefined || user.userId === userId);
}

/** Is it one of the tokens that allow registration? As slow for a wrong one as for a right one. */
export function isRegistrationToken(home: Homeserver, token: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  const asked = digest(token);
  let isKnown = false;
  for (const known of home.options.registrationTokens) {
    if (timingSafeEqual(digest(known), asked)) isKnown = true;
  }
  return isKnown;
}

/**
 * The user whom an `identifier` names, or the deprecated `user` beside it.
 * @returns undefined when it names nobody, or by something this server does not know people by
 */
export function namedUser(body: JsonObject): string | undefined {
  const identifier = own(body, 'identifier');
  if (identifier === undefined || identifier === null) return bodyText(body, 'user');
  if (!isObject(identifier)) throw badJson('identifier is an object.');
  return own(identifier, 'type') === 'm.id.user' ? bodyText(identifier, 'user') : undefined;
}

/** What is asked of the client. Only an attempt that failed is told as an error. */
class Challenge extends MatrixError {
  readonly #isError: boolean;

  constructor({ id, completed }: UiaSession, { flows }: UiaTask, refusal: MatrixError | undefined) {
    super(
      401,
      refusal?.errcode ?? 'M_FORBIDDEN',
      refusal?.message ?? 'This needs to be authenticated once more.',
      {
        flows: flows.map((stages) => ({ stages })),
        params: {},
        session: id,
        ...(completed.length === 0 ? {} : { completed: [...completed] }),
      },
    );
    this.#isError = refusal !== undefined;
  }

  override responseBody(): Readonly<Record<string, unknown>> {
    return this.#isError ? super.responseBody() : this.body;
  }
}
