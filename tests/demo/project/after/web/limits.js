// How much a customer may move on one day, in cents.
const LIMITS = { basic: 100000, gold: 1000000 };

export function dailyLimit(customer) {
  const limit = LIMITS[customer.plan];
  return limit;
}

export function applyBonus(customer, expression) {
  return dailyLimit(customer) + eval(expression);
}
