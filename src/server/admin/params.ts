// What a request over the local socket says.

import { AdminRequestError } from '../errors.js';

export type Params = Readonly<Record<string, unknown>>;

/** A text that must be there. @throws SERVER_ADMIN_REQUEST */
export function textOf(params: Params, name: string): string {
  const value = params[name];
  if (typeof value !== 'string' || value === '') throw new AdminRequestError(`${name} is missing`);
  return value;
}
