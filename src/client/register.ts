// New accounts: by user-interactive authentication, as the server's owner allows them.
//
// Source: client-server API, "POST /register", "Token-authenticated registration".

import { randomBytes } from 'node:crypto';
import type { UserId } from '../event/ids.js';
import type { JsonObject } from '../event/json.js';
import { StateroomError } from '../lib/errors.js';
import { forbidden, MatrixError, missingParam } from './errors.js';
import type { Homeserver } from './homeserver.js';
import { deviceFields, newPassword, sessionAnswer } from './login.js';
import { bodyFlag, bodyText, queryText, queryWord } from './request-fields.js';
import type { AuthenticatedRequest, Route } from './route.js';
import { type Flow, hasAuth, interactively, isRegistrationToken } from './uia.js';

async function register(request: AuthenticatedRequest, home: Homeserver): Promise<JsonObject> {
  if (queryWord(request, 'kind', ['user', 'guest']) === 'guest') {
    throw new MatrixError(403, 'M_GUEST_ACCESS_FORBIDDEN', 'There are no guests on this server.');
  }
  const flows = registrationFlows(home);
  const { body } = request;
  const username = bodyText(body, 'username') ?? generatedName(home);
  const device = deviceFields(home, body);
  const isLoginInhibited = bodyFlag(body, 'inhibit_login') ?? false;
  // What is wrong with the request is told before the client goes through the stages.
  freeUserId(home, username);
  const task = { flows, purpose: 'register', userId: undefined };
  // Clients ask for the flows before anybody has typed a password: it is missed only beside `auth`.
  if (bodyText(body, 'password') === undefined && !hasAuth(body)) await interactively(home, request, task);
  const password = newPassword(body, 'password');
  await interactively(home, request, task);
  const userId = await registered(home, username, password);
  if (isLoginInhibited) return { user_id: userId, home_server: home.options.serverName };
  return sessionAnswer(home, await home.accounts.startSession(userId, device));
}

/** @throws MatrixError 403 where nobody may register */
function registrationFlows(home: Homeserver): readonly Flow[] {
  const { isRegistrationOpen, registrationTokens } = home.options;
  if (isRegistrationOpen) return [['m.login.dummy']];
  if (registrationTokens.length > 0) return [['m.login.registration_token']];
  throw forbidden('Registration is disabled on this server.');
}

function generatedName(home: Homeserver): string {
  for (;;) {
    const name = `u${randomBytes(6).toString('hex')}`;
    if (home.accounts.users.get(home.accounts.users.idOf(name)) === undefined) return name;
  }
}

/** The user id that a name would get. @throws MatrixError 400 M_INVALID_USERNAME, M_USER_IN_USE */
function freeUserId(home: Homeserver, username: string): UserId {
  try {
    const userId = home.accounts.users.idOf(username);
    home.accounts.users.assertFree(userId);
    return userId;
  } catch (error) {
    throw nameRefusal(error);
  }
}

async function registered(home: Homeserver, username: string, password: string): Promise<UserId> {
  try {
    return await home.accounts.register({ username, password });
  } catch (error) {
    throw nameRefusal(error);
  }
}

function nameRefusal(error: unknown): unknown {
  if (!(error instanceof StateroomError)) return error;
  if (error.code === 'ACCOUNT_USER_IN_USE') {
    return new MatrixError(400, 'M_USER_IN_USE', 'The user name is taken.');
  }
  if (error.code === 'ACCOUNT_INVALID_USERNAME') {
    return new MatrixError(400, 'M_INVALID_USERNAME', `Not a user name: ${error.message}.`);
  }
  return error;
}

function available(request: AuthenticatedRequest, home: Homeserver): JsonObject {
  const username = queryText(request, 'username');
  if (username === undefined) throw missingParam('username is missing.');
  freeUserId(home, username);
  return { available: true };
}

function tokenValidity(request: AuthenticatedRequest, home: Homeserver): JsonObject {
  registrationFlows(home);
  const token = queryText(request, 'token');
  if (token === undefined) throw missingParam('token is missing.');
  return { valid: isRegistrationToken(home, token) };
}

export const registerRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: '/_matrix/client/v3/register',
    auth: 'none',
    rateLimit: 'register',
    handler: register,
  },
  {
    method: 'GET',
    path: '/_matrix/client/v3/register/available',
    auth: 'none',
    rateLimit: 'register',
    handler: available,
  },
  {
    method: 'GET',
    path: '/_matrix/client/v1/register/m.login.registration_token/validity',
    auth: 'none',
    rateLimit: 'register',
    handler: tokenValidity,
  },
];
