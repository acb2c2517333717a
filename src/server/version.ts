// The version of this package, where the server tells it.

export { packageVersion } from '../lib/package-version.js';
