# SPDX-License-Identifier: Apache-2.0
# The head of each kernel file (its first comment behind the SPDX line) as a C table for `attest
# show`: {"stem", "text"}, in the order of the files.
BEGIN {
    print "/* SPDX-License-Identifier: Apache-2.0 */"
    print "/* Generated from the heads of the kernels' files. */"
    print "#include \"cli/heads.h\""
    print "const att_head att_heads[] = {"
}
FNR == 1 { taking = 0; done = 0; next }
done { next }
!taking && /^\/\*/ {
    taking = 1
    stem = FILENAME
    sub(/.*\//, "", stem)
    sub(/\.c$/, "", stem)
    printf "{\"%s\",", stem
    sub(/^\/\* ?/, "")
}
taking {
    last = sub(/ *\*\/[ ]*$/, "")
    sub(/^ \* ?/, "")
    gsub(/\\/, "\\\\")
    gsub(/"/, "\\\"")
    printf "\n \"%s\\n\"", $0
    if (last) { print "},"; done = 1 }
}
END { print "{0}};" }
