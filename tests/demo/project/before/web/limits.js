// How much a customer may move on one day, in cents.
const LIMITS = { basic: 100000, gold: 1000000 };

export function dailyLimit(customer) {
  const limit = LIMITS[customer.plan];
  if (limit === undefined) {
    throw new Error(`unknown plan: ${customer.plan}`);
  }
  return limit;
}
