// Which methods a path has: asked only when a request found no route, so a walk over all of them will do.

import type { Route } from '../../client/route.js';

export class Paths {
  readonly #paths: ReadonlyArray<{ readonly method: string; readonly segments: readonly string[] }>;

  constructor(routes: ReadonlyArray<Pick<Route, 'method' | 'path'>>) {
    this.#paths = routes.map(({ method, path }) => ({ method, segments: path.split('/') }));
  }

  /** The methods of the routes whose paths match, sorted; none where there is no such endpoint. */
  methods(path: string): string[] {
    const asked = path.split('/');
    const matching = this.#paths.filter(
      ({ segments }) =>
        segments.length === asked.length &&
        segments.every((segment, i) => (segment.startsWith(':') ? asked[i] !== '' : segment === asked[i])),
    );
    return [...new Set(matching.map(({ method }) => method))].sort();
  }
}
