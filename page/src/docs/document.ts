/** The service's OpenAPI document, as this page shows it. */

import { send, serviceUrl } from "../api/client";

/** A kind of problem, as the document describes it beside its routes. */
export interface ProblemKind {
  readonly type: string;
  readonly status: number;
  readonly title: string;
  readonly explanation: string;
}

export interface OpenApiDocument {
  readonly servers?: readonly { readonly url: string }[];
  readonly "x-problems": readonly ProblemKind[];
}

/**
 * Returns the document with the address of this service as its server.
 *
 * The service need not know the prefix that a proxy adds to its paths; the address of the page has it.
 */
export async function readDocument(): Promise<OpenApiDocument> {
  const response = await send("openapi.json");
  const document = (await response.json()) as OpenApiDocument;
  return { ...document, servers: [{ url: serviceUrl(".").replace(/\/$/, "") }] };
}
