/** What this page uses of Swagger UI, which comes without types. */

declare module "swagger-ui-dist/swagger-ui-es-bundle.js" {
  /** Part of a document, in an Immutable.js map. */
  export interface Part {
    get(key: string): unknown;
    getIn(path: readonly string[]): unknown;
    set(key: string, value: unknown): Part;
  }
  /** An Immutable.js list or map. */
  export interface Parts {
    map(change: (part: Part, key: string) => Part): Parts;
    filter(test: (part: Part) => boolean): Parts;
    readonly size: number;
  }
  export interface System {
    readonly layoutActions: { updateFilter(text: string): void };
    readonly React: {
      createElement(type: unknown, props?: unknown, ...children: unknown[]): unknown;
    };
    preauthorizeApiKey(scheme: string, token: string | null): void;
    getComponent(name: string, connected?: boolean): unknown;
  }
  export default function SwaggerUI(options: Readonly<Record<string, unknown>>): System;
}
