package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// occupiedBytes returns the bytes of resident memory together with those of the page tables.
func occupiedBytes() (int64, error) {
	return statusBytes("VmRSS:", "VmPTE:")
}

// highestBytes returns the most bytes of resident memory so far, together with today's page tables.
func highestBytes() (int64, error) {
	return statusBytes("VmHWM:", "VmPTE:")
}

// statusBytes returns the sum of two fields of /proc/self/status.
func statusBytes(first, second string) (int64, error) {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, err
	}
	defer file.Close()
	var total int64
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var kibibytes int64
		line := lines.Text()
		if strings.HasPrefix(line, first) || strings.HasPrefix(line, second) {
			if _, err := fmt.Sscan(strings.Fields(line)[1], &kibibytes); err != nil {
				return 0, err
			}
			total += kibibytes * 1024
		}
	}
	return total, lines.Err()
}
