import { expect, test } from "vitest";
import { type Linked, LinkedList } from "../../../src/runtime/linked-list.js";
import { seeded } from "../../support/random.js";

class Item implements Linked<Item> {
  previous: Item | null = null;
  next: Item | null = null;
}

test("behaves as an array does, under random additions and removals", () => {
  const random = seeded("linked list");
  const list = new LinkedList<Item>();
  let model: Item[] = [];
  const all = Array.from({ length: 30 }, () => new Item());
  for (let step = 0; step < 5_000; step += 1) {
    const item = all[Math.floor(random() * all.length)] as Item;
    const isIn = model.includes(item);
    expect(list.has(item)).toBe(isIn);
    if (isIn || random() < 0.3) {
      expect(list.remove(item)).toBe(isIn);
      model = model.filter((other) => other !== item);
      expect([item.previous, item.next]).toEqual([null, null]);
    } else {
      list.add(item);
      model.push(item);
    }
    expect(list.size).toBe(model.length);
    expect(list.first).toBe(model[0] ?? null);
    if (step % 50 === 0) expect([...list]).toEqual(model);
  }
});

test("the item that was handed out last may be removed while the list is read", () => {
  const list = new LinkedList<Item>();
  const items = Array.from({ length: 5 }, () => new Item());
  for (const item of items) list.add(item);
  const seen: Item[] = [];
  for (const item of list) {
    seen.push(item);
    list.remove(item);
  }
  expect(seen).toEqual(items);
  expect(list.size).toBe(0);
});
