#pragma once
namespace thrust {
template <class T> struct counting_iterator { counting_iterator(T) {} };
}
