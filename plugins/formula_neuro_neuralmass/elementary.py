"""Elementary functions of LANES numbers at once in LLVM's language; the C library has them for one.

Each is reduced to a short interval and summed as a power series there; errors are a few units in the last place.
"""

from __future__ import annotations

from math import factorial
from typing import Any

from llvmlite import ir

LN2_HIGH = float.fromhex("0x1.62e42fee00000p-1")  # the first digits of ln 2: k LN2_HIGH is exact for |k| < 2^20
LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")  # and the next
LOG2_E = 1.4426950408889634
SQRT_HALF_UP = 1.4142135623730951
TERMS = 14  # of exp below ln 2 / 2: the next is 4e-18
ODD_TERMS = 11  # of log within a factor sqrt 2 of 1: the next is 2e-17 of the first
TINY = 2.0**-1022  # the smallest number with all its bits

INT, DOUBLE = ir.IntType(64), ir.DoubleType()


class Elementary:
    """The functions of vectors of doubles, written where the builder stands."""

    def __init__(self, builder: ir.IRBuilder, lanes: int, floor: Any):
        self.b, self.floor = builder, floor
        self.doubles, self.integers = ir.VectorType(DOUBLE, lanes), ir.VectorType(INT, lanes)
        self.lanes = lanes

    def exp(self, x: Any) -> Any:
        """2^k e^r with |r| below ln 2 / 2."""
        k, _, less_one = self._reduced(x)
        return self._scaled(self.b.fadd(less_one, self._number(1.0)), k)

    def expm1(self, x: Any) -> Any:
        """exp(x) - 1 as it is summed near 0, where the difference would lose digits."""
        b, one = self.b, self._number(1.0)
        k, _, less_one = self._reduced(x)
        far = b.fsub(self._scaled(b.fadd(less_one, one), k), one)
        return b.select(b.fcmp_ordered("==", k, self._number(0.0)), less_one, far)

    def tanh(self, x: Any) -> Any:
        """-q / (2 + q) with q = expm1(-2 |x|), and the sign of x."""
        b, below = self.b, self.b.fcmp_ordered("<", x, self._number(0.0))
        minus = b.fsub(self._number(-0.0), x)
        q = self.expm1(b.fmul(self._number(2.0), b.select(below, x, minus)))
        size = b.fdiv(q, b.fadd(self._number(2.0), q))
        return b.select(below, size, b.fsub(self._number(-0.0), size))

    def log(self, x: Any) -> Any:
        """k ln 2 + log m with x = 2^k m; log m = 2 (s + s^3 / 3 + ...) with s = (m - 1) / (m + 1)."""
        b = self.b
        small = b.fcmp_ordered("<", x, self._number(TINY))
        bits = b.bitcast(b.select(small, b.fmul(x, self._number(2.0**54)), x), self.integers)
        k = b.sub(b.lshr(bits, self._whole(52)), b.select(small, self._whole(1023 + 54), self._whole(1023)))
        digits = b.or_(b.and_(bits, self._whole(2**52 - 1)), self._whole(1023 << 52))
        m = b.bitcast(digits, self.doubles)
        upper = b.fcmp_ordered(">", m, self._number(SQRT_HALF_UP))
        m = b.select(upper, b.fmul(m, self._number(0.5)), m)
        n = b.sitofp(b.select(upper, b.add(k, self._whole(1)), k), self.doubles)
        s = b.fdiv(b.fsub(m, self._number(1.0)), b.fadd(m, self._number(1.0)))
        z = b.fmul(s, s)
        twice = b.fadd(s, s)
        rest = b.fmul(b.fmul(twice, z), self._series(z, [1 / (2 * j + 3) for j in range(ODD_TERMS - 1)]))
        low = b.fadd(twice, b.fadd(rest, b.fmul(n, self._number(LN2_LOW))))
        return self._log_at_the_ends(x, b.fadd(b.fmul(n, self._number(LN2_HIGH)), low))

    def _log_at_the_ends(self, x: Any, inside: Any) -> Any:
        b, infinite, zero = self.b, self._number(float("inf")), self._number(0.0)
        inside = b.select(b.fcmp_ordered("<", x, infinite), inside, x)  # infinite or missing
        inside = b.select(b.fcmp_ordered("==", x, zero), self._number(float("-inf")), inside)
        return b.select(b.fcmp_ordered("<", x, zero), self._number(float("nan")), inside)

    def _reduced(self, x: Any) -> tuple[Any, Any, Any]:
        """k, r = x - k ln 2 and e^r - 1."""
        b, most = self.b, self._number(750.0)
        least = self._number(-750.0)
        x = b.select(b.fcmp_ordered(">", x, most), most, b.select(b.fcmp_ordered("<", x, least), least, x))
        k = self.floor(b.fadd(b.fmul(x, self._number(LOG2_E)), self._number(0.5)))
        r = b.fsub(b.fsub(x, b.fmul(k, self._number(LN2_HIGH))), b.fmul(k, self._number(LN2_LOW)))
        series = self._series(r, [1 / factorial(j + 2) for j in range(TERMS - 2)])
        return k, r, b.fadd(r, b.fmul(b.fmul(r, r), series))

    def _scaled(self, x: Any, k: Any) -> Any:
        """2^k x, in two steps, as 2^k alone may be too large or small a number."""
        b = self.b
        known = b.select(b.fcmp_ordered("ord", k, k), k, self._number(0.0))
        whole = b.fptosi(known, self.integers)
        half = b.ashr(whole, self._whole(1))
        for part in (half, b.sub(whole, half)):
            power = b.bitcast(b.shl(b.add(part, self._whole(1023)), self._whole(52)), self.doubles)
            x = b.fmul(x, power)
        return x

    def _series(self, x: Any, coefficients: list[float]) -> Any:
        """c0 + c1 x + c2 x^2 + ..."""
        total = self._number(coefficients[-1])
        for c in reversed(coefficients[:-1]):
            total = self.b.fadd(self.b.fmul(total, x), self._number(c))
        return total

    def _number(self, value: float) -> ir.Constant:
        return ir.Constant(self.doubles, [ir.Constant(DOUBLE, value)] * self.lanes)

    def _whole(self, value: int) -> ir.Constant:
        return ir.Constant(self.integers, [ir.Constant(INT, value)] * self.lanes)
