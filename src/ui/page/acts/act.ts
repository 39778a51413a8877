import { addressOf } from "../state/address.js";

/** Asks the server to do something. Resolves to what it answered, or to why it did not. */
export async function act(path: string, body: object, token: string): Promise<{ ok: boolean; answer: unknown }> {
  try {
    const response = await fetch(addressOf(path), {
      method: "POST",
      headers: { "content-type": "application/json", "x-leasehold-token": token },
      body: JSON.stringify(body),
    });
    const isJson = response.headers.get("content-type")?.startsWith("application/json") ?? false;
    const answer: unknown = isJson ? await response.json() : { error: (await response.text()).trim() };
    return { ok: response.ok, answer };
  } catch {
    return { ok: false, answer: { error: "The inspector does not answer. It is not known whether it was done." } };
  }
}
