#pragma once
namespace thrust {
template <class F, class I, class R = void> struct transform_iterator { transform_iterator(I, F) {} };
}
