#pragma once
namespace thrust {
template <class T> T make_reverse_iterator(T place) { return place; }
}
