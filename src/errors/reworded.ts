/** A copy of the error that says something else: its class, its data and its cause are the same. The error itself may have been told to others. */
export function reworded<Known extends Error>(error: Known, message: string, data: Partial<Known> = {}): Known {
  const { message: _, stack, ...kept } = Object.getOwnPropertyDescriptors(error) as Record<string, PropertyDescriptor>;
  const copy = Object.setPrototypeOf(new Error(message), Object.getPrototypeOf(error)) as Known;
  return Object.assign(Object.defineProperties(copy, kept), data);
}
