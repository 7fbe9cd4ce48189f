// Names and dtype rules, in the order of the enums in table/elementwise.h.
#include "ops/elementwise.h"

namespace mielina::ops {

using enum Domain;

// clang-format off
static constexpr Traits kUnary[] = {
    {"relu", keep}, {"abs", number}, {"neg", number}, {"sign", keep, false}, {"square", keep}, {"cube", keep, false},
    {"ceil", number, false}, {"floor", number, false}, {"round", number, false}, {"round_decimals", floating, false},
    {"trunc", number, false},
    {"acos", promote}, {"acosh", promote}, {"asin", promote}, {"asinh", promote}, {"atan", promote}, {"atanh", promote},
    {"cos", promote}, {"cosh", promote}, {"digamma", promote}, {"erf", promote}, {"erfc", promote}, {"erfinv", promote},
    {"exp", promote}, {"exp2", promote}, {"expm1", promote}, {"lgamma", promote}, {"log", promote}, {"log10", promote},
    {"log1p", promote}, {"log2", promote}, {"logit", promote}, {"reciprocal", promote}, {"rsqrt", promote},
    {"sigmoid", promote}, {"sin", promote}, {"sinc", promote}, {"sinh", promote}, {"sqrt", promote}, {"tan", promote},
    {"tanh", promote}, {"trigamma", promote, false}, {"polygamma", promote, false},
    {"clamp", floating}, {"elu", floating}, {"frac", floating}, {"gelu", floating}, {"gelu_tanh", floating},
    {"hardshrink", floating}, {"hardsigmoid", floating}, {"hardswish", floating}, {"hardtanh", floating},
    {"leaky_relu", floating}, {"log_sigmoid", floating}, {"mish", floating}, {"nan_to_num", floating},
    {"selu", floating}, {"silu", floating},
    {"softplus", floating}, {"softshrink", floating}, {"softsign", promote}, {"tanhshrink", promote},
    {"threshold", floating},
};
constexpr Numbers second = Numbers::second, none = Numbers::none;
static constexpr Traits kBinary[] = {
    {"add", keep}, {"sub", keep}, {"mul", keep}, {"maximum", keep, true, none}, {"minimum", keep, true, none},
    {"fmax", keep, true, none}, {"fmin", keep, true, none}, {"floor_divide", number}, {"trunc_divide", number},
    {"remainder", number}, {"fmod", number, true, second}, {"pow", number}, {"heaviside", keep, true, none},
    {"bitwise_and", integer}, {"bitwise_or", integer}, {"bitwise_xor", integer}, {"bitwise_left_shift", shift},
    {"bitwise_right_shift", shift},
    {"div", promote}, {"atan2", promote, true, none}, {"copysign", promote, true, second},
    {"hypot", floating, true, none}, {"logaddexp", floating, true, none}, {"logaddexp2", floating, true, none},
    {"max_share", promote}, {"xlogy", promote},
};
static constexpr Traits kTernary[] = {{"clamp", keep}, {"lerp", floating}, {"add_scaled", keep},
                                         {"addcmul", number}, {"addcdiv", floating}};
static constexpr const char* kCompare[] = {"eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor",
                                           "isnan", "isinf", "isfinite", "signbit"};
// clang-format on
static_assert(std::size(kUnary) == size_t(Unary::count) && std::size(kBinary) == size_t(Binary::count));
static_assert(std::size(kTernary) == size_t(Ternary::count) && std::size(kCompare) == size_t(Compare::count));

const Traits& traits(Unary op) { return kUnary[int(op)]; }
const Traits& traits(Binary op) { return kBinary[int(op)]; }
const Traits& traits(Ternary op) { return kTernary[int(op)]; }
const char* name_of(Compare op) { return kCompare[int(op)]; }
Numbers numbers_of(Compare op) { return op <= Compare::ge ? Numbers::second : Numbers::none; }

}  // namespace mielina::ops
