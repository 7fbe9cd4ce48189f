// The engine: how gradients flow back. What a function's gradient is stands beside the function (python/mielina/ops/).
//
// Nodes are walked from the youngest to the oldest (a consumer is always younger than what it consumed); each one's
// rule(g, needs, *saves) is called and its parts are handed on along the edges. In Python the same walk cost 39 us of a
// perceptron's step of 132.
#include <pybind11/pybind11.h>

#include <algorithm>
#include <queue>
#include <unordered_map>
#include <unordered_set>

#include "bind/families.h"
#include "bind/fast.h"
#include "bind/tape.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"

namespace mielina::bind {
namespace {

namespace py = pybind11;

// Python's part (autograd/engine.py): fit, composite, hooked, leaf_hooked, check, explain.
PyObject* g_python = nullptr;
void set_engine(Object o) { Py_XSETREF(g_python, Py_NewRef(o.p)); }

py::object owned(PyObject* p) {
  if (!p) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(p);
}
py::object shared(PyObject* p) { return py::reinterpret_borrow<py::object>(p); }
py::object wrapped(Array&& a) { return owned(wrap(std::move(a))); }

// attribute<"rule">(o): the name is made into a Python string once.
template <size_t N>
struct Literal {
  char s[N];
  constexpr Literal(const char (&from)[N]) { std::copy_n(from, N, s); }
};
template <Literal name>
py::object attribute(PyObject* o) {
  static PyObject* const interned = PyUnicode_InternFromString(name.s);
  return owned(PyObject_GetAttr(o, interned));
}
template <Literal name, class... P>
py::object call_python(P... args) {
  PyObject* const list[] = {args...};
  return owned(PyObject_Vectorcall(attribute<name>(g_python).ptr(), list, sizeof...(P), nullptr));
}
const Array& array(const py::object& t) { return as_tensor(t.ptr())->array; }

// A gradient that is being summed up. `ours`: its memory was made here, so that more may be added in place; anybody
// else's may be shared.
struct Slot {
  py::object g;
  bool ours = false;

  void add(py::object more) {
    if (!g) {
      g = std::move(more);
    } else if (ours && !grad_enabled() && array(g).dtype == array(more).dtype && same_shape(array(g), array(more))) {
      call_python<"add_">(g.ptr(), more.ptr());
    } else {
      g = owned(PyNumber_Add(g.ptr(), more.ptr()));
      ours = true;
    }
  }
  static bool same_shape(const Array& a, const Array& b) {
    return a.ndim == b.ndim && std::memcmp(a.shape, b.shape, sizeof(int64_t) * size_t(a.ndim)) == 0;
  }
};

// Where a tensor's gradient is collected: its node and output number, or the leaf itself.
struct Place {
  PyObject* at;
  int32_t index;
  explicit Place(PyObject* tensor) {
    check(is_tensor(tensor), Kind::Type, "backward: expected a Tensor, got ", Py_TYPE(tensor)->tp_name);
    PyTensor* t = as_tensor(tensor);
    settle(t);
    at = t->node ? t->node : tensor;
    index = t->node ? t->index : 0;
  }
};

// leaf.grad += g, out of place: somebody else can write to g's memory where a rule passed it on to two inputs, or
// handed out a view of it. `given`: gradients that belong to somebody already.
void accumulate(PyObject* leaf, const py::object& g, bool create_graph, std::unordered_set<PyObject*>& given) {
  PyTensor* t = as_tensor(leaf);
  PyObject* old = t->grad && t->grad != Py_None ? t->grad : nullptr;
  py::object sum;
  if (old) sum = create_graph ? owned(PyNumber_Add(old, g.ptr())) : call_python<"add">(old, g.ptr());
  else if (create_graph) sum = g;
  else {
    On device(array(g).device());
    const Storage* memory = array(g).storage.get();
    const bool alone = memory->refs.load(std::memory_order_relaxed) == 1 && !memory->readonly;
    sum =
        alone && !as_tensor(g.ptr())->requires_grad && given.insert(g.ptr()).second ? g : wrapped(ops::clone(array(g)));
  }
  Py_XSETREF(t->grad, sum.release().ptr());
  if (t->extra && t->extra != Py_None) call_python<"after_accumulation">(leaf);
}

class Walk {
 public:
  Walk(bool retain, bool create_graph, bool cut) : retain_(retain), create_graph_(create_graph), cut_(cut) {
    grad_before_ = set_grad_enabled(create_graph);
    check_nan_ = attribute<"nan">(attribute<"check">(g_python).ptr()).ptr() == Py_True;
  }
  ~Walk() { set_grad_enabled(grad_before_); }

  // Only what leads to these is walked, and their gradients are kept instead of being accumulated.
  void aim(const std::vector<PyObject*>& roots, const std::vector<Place>& inputs) {
    aimed_ = true;
    for (const Place& p : inputs) targets_.insert(p.at);
    std::unordered_set<PyObject*> done;
    std::vector<std::pair<PyObject*, bool>> stack;
    for (PyObject* r : roots) stack.push_back({Place(r).at, false});
    while (!stack.empty()) {
      auto [o, closing] = stack.back();
      stack.pop_back();
      if (!is_node(o)) continue;
      PyObject* edges = as_node(o)->edges;
      if (closing) {
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(edges); i++) {
          PyObject* e = PyTuple_GET_ITEM(edges, i);
          if (useful_.count(e) || targets_.count(e)) useful_.insert(o);
        }
      } else if (!done.count(o) && !(cut_ && targets_.count(o))) {
        done.insert(o);
        stack.push_back({o, true});
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(edges); i++) stack.push_back({PyTuple_GET_ITEM(edges, i), false});
      }
    }
  }

  void send(PyObject* target, int32_t index, py::object g) {
    if (aimed_ && !targets_.count(target) && !useful_.count(target)) return;
    if (!is_node(target)) {
      auto [it, fresh] = leaf_at_.try_emplace(target, leaves_.size());
      if (fresh) leaves_.push_back({shared(target), Slot()});
      leaves_[it->second].second.add(std::move(g));
      return;
    }
    auto [it, fresh] = pending_.try_emplace(target);
    if (fresh) {
      it->second.node = shared(target);
      it->second.slots.resize(size_t(as_node(target)->n_outputs));
      heap_.push({as_node(target)->order, target});
    }
    it->second.slots[size_t(index)].add(std::move(g));
  }

  void run() {
    while (!heap_.empty()) {
      auto found = pending_.find(heap_.top().second);
      heap_.pop();
      Pending p = std::move(found->second);
      pending_.erase(found);
      visit(p);
    }
  }

  void finish(std::unordered_set<PyObject*>& given) {
    for (auto& [leaf, slot] : leaves_) {
      PyTensor* t = as_tensor(leaf.ptr());
      if (t->extra && t->extra != Py_None && !cut_) slot.g = call_python<"leaf_hooked">(leaf.ptr(), slot.g.ptr());
      if (aimed_) captured_[leaf.ptr()] = {slot.g};
      else accumulate(leaf.ptr(), slot.g, create_graph_, given);
    }
  }

  py::object captured(const Place& p) const {
    auto found = captured_.find(p.at);
    if (found == captured_.end() || !found->second[size_t(p.index)]) return py::none();
    return found->second[size_t(p.index)];
  }

 private:
  struct Pending {
    py::object node;
    std::vector<Slot> slots;
  };

  void visit(Pending& p) {
    PyObject* o = p.node.ptr();
    Node* n = as_node(o);
    std::vector<py::object> gs;
    for (Slot& s : p.slots) gs.push_back(s.g ? std::move(s.g) : py::none());
    if (n->hooks && n->hooks != Py_None && !(cut_ && targets_.count(o))) {
      py::object list = listed(gs);
      py::object changed = call_python<"hooked">(n->hooks, list.ptr());
      for (size_t i = 0; i < gs.size(); i++) gs[i] = shared(PyList_GetItem(changed.ptr(), Py_ssize_t(i)));
    }
    if (aimed_) {
      if (targets_.count(o)) captured_[o] = gs;
      if (!useful_.count(o)) return;
    }
    On device(place_of(gs));
    py::object parts;
    try {
      parts = apply(n, gs);
    } catch (py::error_already_set&) {
      if (n->stack) call_python<"explain">(o);
      throw;
    }
    if (check_nan_) call_python<"check">(o, parts.ptr());
    if (!retain_) Py_CLEAR(n->saves);
    hand_on(n, parts);
  }

  // What a rule makes anew (zeros) stands beside its gradient.
  static int32_t place_of(const std::vector<py::object>& gs) {
    for (const py::object& g : gs)
      if (is_tensor(g.ptr())) return array(g).device();
    return current_device();
  }

  static py::object listed(const std::vector<py::object>& gs) {
    py::object list = owned(PyList_New(Py_ssize_t(gs.size())));
    for (size_t i = 0; i < gs.size(); i++) PyList_SET_ITEM(list.ptr(), Py_ssize_t(i), Py_NewRef(gs[i].ptr()));
    return list;
  }

  // What the node's rule makes of its results' gradients.
  py::object apply(Node* n, const std::vector<py::object>& gs) {
    py::object saves = owned(unpack(n));
    py::object g = gs.size() == 1 ? gs[0] : owned(PyList_AsTuple(listed(gs).ptr()));
    if (create_graph_ && attribute<"composite">(n->op).ptr() != Py_None)
      return call_python<"through_composite">(reinterpret_cast<PyObject*>(n), saves.ptr(), g.ptr());
    std::vector<PyObject*> args{g.ptr(), n->needs};
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(saves.ptr()); i++) args.push_back(PyTuple_GET_ITEM(saves.ptr(), i));
    PyObject* parts = PyObject_Vectorcall(attribute<"rule">(n->op).ptr(), args.data(), args.size(), nullptr);
    // The device has no code for a fused gradient: then that of its definition.
    if (!parts && no_kernel_raised() && attribute<"composite">(n->op).ptr() != Py_None) {
      PyErr_Clear();
      return call_python<"without_kernel">(reinterpret_cast<PyObject*>(n), saves.ptr(), g.ptr());
    }
    return owned(parts);
  }

  void hand_on(Node* n, const py::object& parts) {
    py::object sequence = owned(PySequence_Fast(parts.ptr(), "a gradient rule returns a tuple"));
    Py_ssize_t count = PySequence_Fast_GET_SIZE(sequence.ptr());
    check(count <= PyTuple_GET_SIZE(n->edges), Kind::Runtime, "a gradient rule gave ", count, " gradients for ",
          PyTuple_GET_SIZE(n->edges), " inputs");
    for (Py_ssize_t i = 0; i < count; i++) {
      PyObject *edge = PyTuple_GET_ITEM(n->edges, i), *part = PySequence_Fast_GET_ITEM(sequence.ptr(), i);
      if (edge == Py_None || part == Py_None) continue;
      check(is_tensor(part), Kind::Type, "a gradient rule returns Tensors or None, got ", Py_TYPE(part)->tp_name);
      py::object g = shared(part);
      if (!n->inputs[i].is(array(g))) g = fitted(n, i, g);
      send(edge, n->indices[i], std::move(g));
    }
  }

  // g with the shape and dtype of the node's input i: broadcast axes summed, promotion undone.
  py::object fitted(Node* n, Py_ssize_t i, const py::object& g) {
    const Shape& s = n->inputs[i];
    if (!create_graph_ && s.dtype == array(g).dtype && attribute<"broadcast">(n->op).ptr() == Py_True) {
      On device(array(g).device());
      return wrapped(ops::sum_to(array(g), Dims(s.shape, s.ndim)));
    }
    return call_python<"fit">(reinterpret_cast<PyObject*>(n), owned(PyLong_FromSsize_t(i)).ptr(), g.ptr());
  }

  bool retain_, create_graph_, cut_, check_nan_, grad_before_, aimed_ = false;
  std::unordered_set<PyObject*> targets_, useful_;
  std::unordered_map<PyObject*, Pending> pending_;
  std::priority_queue<std::pair<uint64_t, PyObject*>> heap_;
  std::vector<std::pair<py::object, Slot>> leaves_;
  std::unordered_map<PyObject*, size_t> leaf_at_;
  std::unordered_map<PyObject*, std::vector<py::object>> captured_;
};

// Walks back from the roots. Without `inputs`, leaves accumulate into .grad; with them, their gradients come back.
// cut: the graph ends at the inputs, though one of them may have been made from another; their hooks wait for the walk
// that goes on from there.
PyObject* walk_back(std::vector<Object> roots, std::vector<Object> grads, std::optional<std::vector<Object>> inputs,
                    bool retain, bool create_graph, bool cut) {
  check(roots.size() == grads.size(), Kind::Value, "walk_back: ", roots.size(), " roots, ", grads.size(), " gradients");
  std::vector<Place> from, to;
  for (Object r : roots) from.emplace_back(r.p);
  if (inputs)
    for (Object x : *inputs) to.emplace_back(x.p);
  Walk walk(retain, create_graph, cut);
  std::vector<PyObject*> starts;
  for (Object r : roots) starts.push_back(r.p);
  if (inputs) walk.aim(starts, to);
  std::unordered_set<PyObject*> given;
  for (size_t i = 0; i < roots.size(); i++) {
    check(is_tensor(grads[i].p), Kind::Type, "walk_back: expected Tensors as gradients");
    given.insert(grads[i].p);
    walk.send(from[i].at, from[i].index, shared(grads[i].p));
  }
  walk.run();
  walk.finish(given);
  py::object found = owned(PyList_New(Py_ssize_t(to.size())));
  for (size_t i = 0; i < to.size(); i++)
    PyList_SET_ITEM(found.ptr(), Py_ssize_t(i), walk.captured(to[i]).release().ptr());
  return found.release().ptr();
}

// leaf.grad += g for one leaf; `given` are tensors whose memory is the caller's.
void accumulate_one(Object leaf, Object g, bool create_graph, std::vector<Object> given) {
  check(is_tensor(leaf.p) && is_tensor(g.p), Kind::Type, "accumulate: expected Tensors");
  std::unordered_set<PyObject*> theirs;
  for (Object o : given) theirs.insert(o.p);
  accumulate(leaf.p, shared(g.p), create_graph, theirs);
}

}  // namespace

void add_engine(PyObject* m) {
  def<&set_engine>(m, "set_engine", "python");
  def<&walk_back>(m, "walk_back", "roots, grads, inputs, retain, create_graph, cut");
  def<&accumulate_one>(m, "accumulate", "leaf, g, create_graph, given");
}

}  // namespace mielina::bind
