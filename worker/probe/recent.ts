/**
 * What an isolate remembers from one look to the next, so many at most: who was noted longest ago goes first.
 *
 * Must never: hold anything that a look needs to be right. Every isolate begins without it.
 */

export function createRecent<T>(most = 1000) {
  const noted = new Map<string, T>();
  return {
    get: (key: string): T | undefined => noted.get(key),
    forget: (key: string): void => void noted.delete(key),
    note(key: string, value: T): void {
      noted.delete(key);
      noted.set(key, value);
      for (const oldest of noted.keys()) {
        if (noted.size <= most) return;
        noted.delete(oldest);
      }
    },
  };
}
